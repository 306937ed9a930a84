"""Facts about several files of the scanned tree: importers, callers, re-exports, monkey patches."""
