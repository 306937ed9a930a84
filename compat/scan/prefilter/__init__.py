"""Looks at bytes that tell whether a file must be parsed."""
