"""`modelrollout backtest`: a policy replayed over what Prometheus remembers, to be tuned before it is trusted.

The rules are the operator's own: the same tests, the same preflight, the same decisions, over the same samples.
"""
