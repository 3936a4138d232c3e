"""Files, the network, limits and errors: what everything else builds on."""
