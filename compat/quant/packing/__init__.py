"""Packing and sharding of quantized tensors."""
