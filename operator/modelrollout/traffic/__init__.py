"""How traffic is split between stable and candidate: one file per router, each a translator. Pure."""
