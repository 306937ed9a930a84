"""Find where a release defines a symbol: parse queries, select releases, search, and format the answers."""
