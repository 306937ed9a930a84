"""Command-line plumbing that all commands share: argument parser, error handling, text and progress."""
