"""A Kubernetes cluster on loopback, from real parts: for trying out and for tests. Knows nothing of model rollouts."""
