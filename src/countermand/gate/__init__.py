"""The mail gate: answers mail servers from memory, fails open, and never loads Django."""
