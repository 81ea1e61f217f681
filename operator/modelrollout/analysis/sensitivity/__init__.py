"""Before the first look: stable's noise in its history, and the regressions that a plan can detect. Pure."""
