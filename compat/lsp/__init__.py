"""`compat lsp`: a language server with what `compat scan` finds, its fixes, and the history of names."""
