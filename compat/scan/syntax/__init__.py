"""Facts of one file, without regard to any release."""
