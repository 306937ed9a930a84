"""What all commands share: the argument parser, the error wrapper, text and progress."""
