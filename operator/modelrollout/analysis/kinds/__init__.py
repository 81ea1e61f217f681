"""One file for each kind of metric: from the samples of both arms to evidence. Pure."""
