"""How long a switch of blueGreen takes at a real gateway, and whether it costs anybody an answer."""
