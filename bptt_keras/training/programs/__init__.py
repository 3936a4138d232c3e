"""The compiled programs: gradients of a window, its forward pass, a whole batch."""
