"""Users, for the local cluster: a load generator that replays labelled samples and counts what users got."""

from localcluster.load.generator import LoadGenerator
from localcluster.load.outcomes import Failure, Outcome, Reply, Sample, judge
from localcluster.load.record import Counts, Record, Second, Tally
from localcluster.load.users import STRANGERS, User, named_users, versions_met

__all__ = [
    "STRANGERS",
    "Counts",
    "Failure",
    "LoadGenerator",
    "Outcome",
    "Record",
    "Reply",
    "Sample",
    "Second",
    "Tally",
    "User",
    "judge",
    "named_users",
    "versions_met",
]
