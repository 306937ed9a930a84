"""Where is a symbol? Queries, the releases they are asked of, the search, and the answer's forms."""
