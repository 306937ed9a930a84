"""Find, read and parse source files."""
