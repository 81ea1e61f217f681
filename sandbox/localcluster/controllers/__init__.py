"""Controllers that a cluster brings along: Deployments, namespaces, garbage collection. API clients like any other."""
