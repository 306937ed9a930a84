"""From references to findings."""
