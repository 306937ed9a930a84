"""Rewrite imports that break: plan the edits, apply them, replace the files."""
