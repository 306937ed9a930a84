"""Code that runs in another interpreter, and code that drives it."""
