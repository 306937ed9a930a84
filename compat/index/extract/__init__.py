"""From the source of one module to rows of the index."""
