"""Raw samples, read: how much counters and buckets grew in each tick, and which arms fell silent. Pure."""
