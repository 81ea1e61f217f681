"""Deployments. Pure."""

from __future__ import annotations

from modelrollout.analysis.queries import pods_of
from modelrollout.objects.resources import DEPLOYMENTS
from modelrollout.workloads.pod_workload import PodWorkload

DEPLOYMENT = PodWorkload(DEPLOYMENTS, pods_of)
