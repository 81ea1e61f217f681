"""The one door to Prometheus: sends queries to its HTTP API with `prometheus-api-client`, and returns the answers.

Knows no metric, arm or verdict, and decides nothing.
"""

from modelrollout.prometheus.client import Prometheus

__all__ = ["Prometheus"]
