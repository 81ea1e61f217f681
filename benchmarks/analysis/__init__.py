"""How often a verdict is wrong and how long it takes: ours, the rules of other tools, and the physical limit."""
