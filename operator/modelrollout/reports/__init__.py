"""Pages that need nothing else: HTML and SVG made here. Pure, and knows nothing of what it draws."""
