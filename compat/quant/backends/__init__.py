"""Linear layers of sglang and vllm, and a reference implementation in plain torch."""
