"""Child processes and background tasks that end with their parent."""
