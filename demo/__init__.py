"""The story of the README, played on real parts: `make demo`."""
