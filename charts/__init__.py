"""Writes the generated files of charts/modelrollout: RBAC rules, definitions, and the table of values."""
