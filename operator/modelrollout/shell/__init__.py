"""All that acts: kopf handlers, the pass over one rollout, its reads and writes, and what the process serves."""
