"""Contract suites and doubles, public, for authors of connectors."""
