"""Writing files whole, and running child processes."""
