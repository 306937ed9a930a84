"""`compat pairs`: find releases of sglang and vllm that install together, with overrides and locks."""
