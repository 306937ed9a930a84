"""Check references against the releases: which break, why, and what replaces them."""
