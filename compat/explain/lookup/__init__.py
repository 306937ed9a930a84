"""Questions to the index and the environment that several rules ask."""
