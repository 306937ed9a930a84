"""`compat explain`: from a traceback or a whole log to the cause of a failed import and its fix."""
