"""Search the bytes of files to decide which ones must be parsed."""
