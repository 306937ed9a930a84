"""Environments of cells, and the disk that they take."""
