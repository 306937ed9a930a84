"""The environment variables that each release reads, and the command-line options that it has."""
