"""Models of the design, small enough to be looked at whole."""
