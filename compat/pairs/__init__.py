"""Which releases go together: ranking, clashes, overrides, locks."""
