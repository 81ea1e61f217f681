"""Delivers errands outside of passes: to whom, by which way, and how often it is tried."""
