"""Facts about the syntax of one file, independent of any release."""
