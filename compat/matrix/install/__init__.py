"""Environments of cells: installing or opening them, their folders, and the disk space that they use."""
