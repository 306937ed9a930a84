"""Symbols at run time: the real object in the installed release, or an error that says why there is none."""
