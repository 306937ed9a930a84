"""Read from wheels what distributions supply, check when imported, and share with others."""
