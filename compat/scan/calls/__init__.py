"""Calls of what the packages have, and subclasses of their classes: whether they fit a release."""
