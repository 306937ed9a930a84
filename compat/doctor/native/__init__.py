"""Checks of compiled code: the symbols and libraries that ELF files need, and the GPU code in them."""
