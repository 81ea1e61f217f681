"""Users, for the sandbox: a load generator that replays labelled samples and counts what users got."""

from modelrollout.sandbox.load.generator import LoadGenerator
from modelrollout.sandbox.load.outcomes import Failure, Outcome, Reply, Sample, judge
from modelrollout.sandbox.load.record import Counts, Record, Second, Tally

__all__ = ["Counts", "Failure", "LoadGenerator", "Outcome", "Record", "Reply", "Sample", "Second", "Tally", "judge"]
