"""Extract the rows of the index from the source of one module."""
