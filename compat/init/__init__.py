"""`compat init`: propose configuration, a pre-commit hook and workflows for a repository."""
