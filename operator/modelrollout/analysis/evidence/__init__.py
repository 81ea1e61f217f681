"""The book-keeping of evidence: ticks, wealths, their checkpoints and the error rate that they share. Pure."""
