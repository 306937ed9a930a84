"""`compat doctor`: whether an installed environment is sound."""
