"""Microsoft 365 mailboxes over Graph."""
