"""`compat doctor`: check an installed environment with sglang or vllm, without changing it."""
