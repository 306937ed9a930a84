"""`compat check`: will sglang and vllm import beside these releases of everything else?"""
