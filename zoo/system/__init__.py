"""Files, the network, limits and errors: what everything else stands on."""
