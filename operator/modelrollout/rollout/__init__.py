"""From a manifest to what is wished for: parsed, expanded, rendered, and its fault named. Pure."""
