"""A directory writes people here: the SCIM 2.0 provider (RFC 7643, RFC 7644)."""
