"""From the bytes of a log to failures and facts."""
