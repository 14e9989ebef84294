"""Mails that can be taken back: the ledger of who was told what."""
