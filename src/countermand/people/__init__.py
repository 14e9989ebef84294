"""People as directories know them, and who may do what."""
