"""The one door to Prometheus: asks queries over its HTTP API, through `prometheus-api-client`, and says what came back.

Knows no metric, arm or verdict, and decides nothing.
"""

from modelrollout.prometheus.client import Prometheus

__all__ = ["Prometheus"]
