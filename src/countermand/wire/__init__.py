"""Meeting the outside: bytes that others wrote, and servers that others run."""
