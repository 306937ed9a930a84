"""What functions and classes of a release accept: parameters, fields, bases and methods."""
