"""Abstract interpretation of code for one release."""
