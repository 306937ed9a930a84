"""Choosing the installed files and packages that a bundle leaves out."""
