"""`compat mcp`: a server of the Model Context Protocol that answers questions about sglang and vllm."""
