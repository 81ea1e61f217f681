"""Controllers that a cluster brings along: of workloads, namespaces and garbage. API clients like any other."""
