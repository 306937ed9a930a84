"""Documents about finished cells."""
