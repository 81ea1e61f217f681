"""Kubernetes objects as values: their kinds, names, labels, and the writes a plan may ask for. Pure."""
