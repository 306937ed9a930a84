"""What sglang and vllm take from other distributions, and which releases of those have it."""
