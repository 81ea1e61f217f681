"""From raw samples to growth: of counters and buckets in each tick; and which arms fell silent. Pure."""
