"""Writes the generated files of charts/modelrollout: rules, definitions, the dashboard, and tables."""
