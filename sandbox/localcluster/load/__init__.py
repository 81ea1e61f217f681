"""Users, for the local cluster: a load generator that replays labelled samples and counts what users got."""

from localcluster.load.generator import LoadGenerator
from localcluster.load.outcomes import Failure, Outcome, Reply, Sample, judge
from localcluster.load.record import Counts, Record, Second, Tally

__all__ = ["Counts", "Failure", "LoadGenerator", "Outcome", "Record", "Reply", "Sample", "Second", "Tally", "judge"]
