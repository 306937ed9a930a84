"""Build, update and check the index."""
