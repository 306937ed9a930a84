"""Rules for releases that do not go together: requirements, checks, and names of other packages."""
