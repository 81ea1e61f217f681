"""What to do about a rollout, given all that is known: no clock, no network, no logging in here. Pure."""
