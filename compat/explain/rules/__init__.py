"""The rules of `compat explain`, one module for each family of causes.

A rule takes one exception and the context of its log, and returns a diagnosis, or None if the rule does not
apply.
"""
