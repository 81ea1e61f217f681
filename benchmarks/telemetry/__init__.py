"""For how long a scrape holds up passes."""
