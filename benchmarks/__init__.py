"""Measured figures, each against a floor or a peer in the same run; `make bench-…` runs them."""
