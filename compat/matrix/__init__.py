"""The matrix: every pair of `matrix.toml` installed for real, and the index compared with what is there."""
