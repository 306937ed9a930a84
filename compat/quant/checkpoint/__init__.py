"""Read quantized checkpoints: their configuration, their tensors, and the layout of compressed-tensors."""
