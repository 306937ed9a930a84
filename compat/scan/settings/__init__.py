"""Check environment variables and command-line options, in Python, scripts and configuration files."""
