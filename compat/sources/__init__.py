"""Read checkouts, commits, wheels and environments, each as one more release of its package."""
