"""Errors of starting a cluster and its operator: each is a sentence for people."""

from __future__ import annotations

from demo.folder import BusyError
from demo.operator_process import OperatorFailedError
from localcluster.gateway import GatewayError
from localcluster.kubernetes import NotStartedError
from localcluster.metrics import PrometheusFailedError, PrometheusMissingError
from localcluster.pods import NoAddressError
from localcluster.processes.children import CannotStartError
from modelrollout.kube import KubeError

TROUBLE = (
    BusyError,
    CannotStartError,
    GatewayError,
    KubeError,
    NoAddressError,
    NotStartedError,
    OperatorFailedError,
    OSError,
    PrometheusFailedError,
    PrometheusMissingError,
    TimeoutError,
)
