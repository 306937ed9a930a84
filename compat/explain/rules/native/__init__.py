"""Rules for compiled code that cannot be loaded or run."""
