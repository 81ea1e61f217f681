"""The kinds that every cluster has: their schemas, defaults, rules and columns. Pure; no storage, no HTTP."""
