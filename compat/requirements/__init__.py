"""Requirements of distributions: specifiers, and what is installed."""
