"""Logging in with an access token in the place of a password (Google and Microsoft: XOAUTH2)."""

from __future__ import annotations


def first_words(user: str, token: bytes) -> bytes:
    """Return what a client says first, before it is coded in base64; white space around is cut.

    A server that asks once more gives the reason of a refusal, and wants an empty answer.
    """
    return b"user=%b\x01auth=Bearer %b\x01\x01" % (user.encode(), token.strip())
