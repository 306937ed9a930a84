"""Where each symbol of sglang and vllm lives, release by release, and whether a pair really works."""

__all__ = ["__version__"]

__version__ = "0.1.0"
