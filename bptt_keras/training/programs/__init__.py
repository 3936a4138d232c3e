"""What is compiled: the gradients of a window, its forward pass, a whole batch."""
