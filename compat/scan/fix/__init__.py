"""Changing imports that break: what is to be changed, the change itself, and the files."""
