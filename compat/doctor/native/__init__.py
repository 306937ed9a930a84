"""Native libraries: ELF files, and the GPU code in them."""
