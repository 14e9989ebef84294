"""Postfix: its log as evidence, and its queue, out of which mails can be fetched back."""
