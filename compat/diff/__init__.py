"""`compat diff`: what changes between two releases, commits or builds of a package."""
