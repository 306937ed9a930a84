"""`compat matrix`: install every pair of `matrix.toml`, and compare the index with the real packages."""
