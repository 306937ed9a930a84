"""Outlines of the source files of all indexed releases: their functions, lines and messages."""
