"""The mail gate: its own lean process. It answers from memory, and in every doubt it opens."""
