"""`compat export`: the index in the form of another tool, or as a site to look names up in."""
