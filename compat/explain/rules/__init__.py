"""The rules: one module for each family of causes; each rule is a pure function."""
