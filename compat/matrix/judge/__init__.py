"""What the index says against what was met at run time."""
