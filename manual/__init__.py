"""Writes the pages of docs/ that say what the models, the operator's flags and the chart's values say."""
