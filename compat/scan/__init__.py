"""What in a source tree breaks, in which releases of sglang and vllm; nothing that is read is executed."""
