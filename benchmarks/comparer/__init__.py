"""How many requests a comparer compares on one core, and what each costs."""
