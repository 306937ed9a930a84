"""The static index: what each module of each release binds at its top level, read without an import."""
