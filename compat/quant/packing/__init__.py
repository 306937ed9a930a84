"""Pack weights into quantized tensors, and cut those for ranks."""
