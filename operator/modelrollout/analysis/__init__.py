"""Queries to Prometheus, and verdicts on a candidate from the answers. Pure: no I/O, clock, logging or randomness."""
