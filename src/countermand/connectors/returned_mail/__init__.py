"""Mails that come back: delivery reports (RFC 3464), read from a mailbox or a folder."""
