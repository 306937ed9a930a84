"""Which releases a scan is about, and what they have."""
