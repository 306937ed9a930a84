"""Cells, their outcomes and their plans as values: what every other room of the matrix uses."""
