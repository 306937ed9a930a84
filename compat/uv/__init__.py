"""uv: finding it, running it, and what it makes."""
