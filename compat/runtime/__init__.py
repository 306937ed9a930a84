"""`compat.load` and `compat.require`: get symbols of the installed release at run time, or a diagnosis."""
