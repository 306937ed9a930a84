"""Building, updating and checking the index."""
