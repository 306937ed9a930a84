"""`compat upgrade`: the newest releases that a tree works with, and what stands in the way of later ones."""
