"""Answers of the index about one environment."""
