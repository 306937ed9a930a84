"""From release to release: what changed, and what took the place of what vanished."""
