"""The HTML pages of all commands: one frame, one style sheet, and the parts that they share."""
