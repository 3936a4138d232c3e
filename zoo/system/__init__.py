"""Files, the network, limits and errors: the basis of all other packages."""
