"""Outlines of every source file of every indexed release: where its functions are, and what it raises or logs."""
