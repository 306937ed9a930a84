"""`compat explain`: find the cause of a failed import in a traceback or a whole log, and its fix."""
