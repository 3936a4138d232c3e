"""Window after window: gradients, updates, and the state between them."""
