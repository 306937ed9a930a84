"""Compare the answers of the index with what was observed at run time."""
