"""Which releases of sglang and vllm go together: clashes of their requirements, overrides, and rankings."""
