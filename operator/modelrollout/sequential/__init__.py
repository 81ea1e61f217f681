"""Tests that hold however often one looks: e-processes for counts, distributions, gauges, pairs and groups. Pure numpy.

An e-process is a wealth that starts at 1 and, while the candidate is no worse than allowed, is not expected to grow at
any stopping time; so it ever reaches 1/α with probability α at most (Ville's inequality; Ramdas et al., 2210.01948).
Every module here turns what was counted in disjoint ticks into logarithms of the factors by which wealth grows
(natural logarithms throughout), or keeps that wealth. Nothing here knows Prometheus, arms' names, or verdicts.
"""
