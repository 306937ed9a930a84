"""`compat rule`: print the page about a rule of the scan, or about a cause of a diagnosis."""
