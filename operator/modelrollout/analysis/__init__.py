"""What is asked of Prometheus, and what its answers say of a candidate. Pure: no I/O, clock, logging or randomness."""
