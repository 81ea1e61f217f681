"""What is said before a release of users who may differ, where no tolerance covers it. Pure.

A gateway, a client's open connections, a header or a region decide which users stay with a version, and no counter
shows it. So it is said wherever arms are compared by the requests of different users.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.sensitivity.detectable import Stretch, usual_share
from modelrollout.api.metric import Metric

USERS_DIFFER = 0.05
"""Groups of users are rarely more alike than this, as a part of stable's share."""
REMARK = (
    "where users stay with a version (sticky sessions, a header, a region), users who differ by chance count as if the "
    "version did: give a tolerance, such as relative: 25%"
)


def remark(metric: Metric, prior: Prior, stretches: Sequence[Stretch]) -> str | None:
    """That users who differ are taken for versions that do; None where a tolerance covers it, or users are the same."""
    is_by_requests = metric.ratio is not None or metric.histogram is not None
    are_others = any(not one.is_copied and one.stable > 0 for one in stretches)
    return REMARK if is_by_requests and are_others and not _is_covered(metric, prior) else None


def _is_covered(metric: Metric, prior: Prior) -> bool:
    """Whether the tolerance is as wide as users may differ; a metric that is not compared needs none."""
    tolerance, sensitivity = metric.tolerance, kind_of(metric).sensitivity
    if tolerance is None or tolerance.relative.value >= USERS_DIFFER:
        return True
    if metric.ratio is None or sensitivity is None:
        return tolerance.absolute.value > 0
    usual = usual_share(prior)
    return float(sensitivity.bound(metric).at(usual)) >= (1 + USERS_DIFFER) * usual
