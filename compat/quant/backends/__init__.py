"""The packages' own layers, and the reference in plain torch."""
