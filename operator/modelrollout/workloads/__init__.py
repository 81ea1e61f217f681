"""What serves a revision: one file per kind of workload, each a translator between our words and the kind's. Pure."""
