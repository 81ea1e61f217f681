"""An in-memory Kubernetes API server, honest where the operator, kopf and kubectl lean on Kubernetes.

It runs as a process of its own and is no part of the operator: it may import nothing from outside `localcluster`.
"""
