"""Names of arms and of a metric's parts in queries: who asks and who reads the answers share them. Pure."""

from __future__ import annotations

CANDIDATE = "candidate"
STABLE = "stable"
PAST = "history"
ONE_POD, OTHER_PODS = "history of one pod", "history of the other pods"
"""Arms of queries for the history of stable."""

BAD, GOOD, TOTAL, HISTOGRAM, VALUE = "bad", "good", "total", "histogram", "value"
SUM, SQUARES = "sum", "squares"
CANDIDATE_WRONG, STABLE_WRONG = "candidate wrong", "stable wrong"
COUNTERS = "counters"
"""The part of a query that asks for several parts at once."""
