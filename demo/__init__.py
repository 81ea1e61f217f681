"""`make demo`: four releases of a small model on real parts, watched live and told in a report."""
