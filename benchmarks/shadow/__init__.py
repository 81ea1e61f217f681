"""Whether users notice that a candidate gets copies of their requests."""
