"""The kinds of metric, one file each and some for their parts: from both arms' samples to evidence. Pure."""
