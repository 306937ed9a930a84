"""From files to syntax trees."""
