"""Abstract interpretation of scanned code for one release, without executing it."""
