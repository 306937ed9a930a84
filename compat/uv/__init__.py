"""Find and run uv, resolve requirements with it, and parse its output and that of pip."""
