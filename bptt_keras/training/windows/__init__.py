"""The windows of a batch: gradients, updates and the state between them."""
