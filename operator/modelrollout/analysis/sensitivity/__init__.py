"""Before the first look: what the history of stable says of noise, and of what a plan can see. Pure."""
