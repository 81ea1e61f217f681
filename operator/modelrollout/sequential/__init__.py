"""Anytime-valid tests: e-processes for counts, distributions, gauges, pairs and groups. Pure numpy.

An e-process is a wealth that starts at 1. While the candidate is no worse than allowed, its expectation at any stopping
time is at most 1. So the probability that it ever reaches 1/α is at most α, however often one looks (Ville's
inequality; Ramdas et al., 2210.01948). Every module here turns counts in disjoint ticks into logarithms of the factors
by which wealth grows (natural logarithms throughout), or keeps that wealth. Nothing here knows Prometheus or verdicts.
"""
