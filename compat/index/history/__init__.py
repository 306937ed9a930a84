"""Compare consecutive releases, and find the successors of removed definitions."""
