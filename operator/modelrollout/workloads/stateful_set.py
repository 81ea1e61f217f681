"""StatefulSets, for model servers whose pods keep a name or a volume. Pure.

Each revision has a set of its own, and so volumes of its own: a candidate is lent nothing that stable pods wrote.
"""

from __future__ import annotations

from modelrollout.objects.access import Integration
from modelrollout.objects.resources import STATEFUL_SETS
from modelrollout.promql.strings import as_regex
from modelrollout.workloads.pod_workload import PodWorkload


def _pods_of(workload: str) -> str:
    return f"{as_regex(workload)}-[0-9]+"


STATEFUL_SET = PodWorkload(
    STATEFUL_SETS, _pods_of, answering=("volumeClaimTemplates",), integration=Integration.STATEFUL_SETS
)
