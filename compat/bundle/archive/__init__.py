"""The archive of a bundle: writing its compressed parts, and unpacking them on the runner."""
