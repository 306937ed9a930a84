"""`compat bundle`: pack the environment of a locked pair for a machine without network."""
