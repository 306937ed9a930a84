"""Requirements of releases and of installed distributions."""
