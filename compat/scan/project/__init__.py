"""Facts across the files of a project."""
