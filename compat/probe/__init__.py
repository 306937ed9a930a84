"""The probe, which imports modules in the Python of another environment, and the code that runs it."""
