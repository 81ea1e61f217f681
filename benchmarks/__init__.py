"""Scripts that measure and print tables. Not part of the wheel."""
