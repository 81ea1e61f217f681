"""A process of its own, run for a shadow stage: it asks both versions what users asked, and compares their answers.

Of ModelRollout it knows the API's models only; it has no access to any cluster.
"""
