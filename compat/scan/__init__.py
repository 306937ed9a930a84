"""`compat scan`: find the uses of sglang and vllm in a source tree that break, without executing it."""
