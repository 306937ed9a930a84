"""`compat bundle`: a locked pair's environment, packed for a machine without network."""
