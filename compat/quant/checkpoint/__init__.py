"""Reading quantized checkpoints."""
