"""Reports of a training run as HTML pages."""
