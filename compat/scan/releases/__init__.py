"""Select the releases of a scan and look names up in them."""
