"""The site of `compat export site`: an answer about every name, and the pages that show it."""
