"""A candidate on trial: the facts about it, its steps, and the questions asked of it. Pure."""
