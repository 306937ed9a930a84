"""Reports about finished cells, and the gate that requires them to pass."""
