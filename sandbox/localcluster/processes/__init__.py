"""Child processes and background tasks that end with whoever started them."""
