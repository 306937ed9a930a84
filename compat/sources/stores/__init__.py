"""Where the files of a source are, and how they are read."""
