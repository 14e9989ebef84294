"""TLS between a link and its socket, without a byte waiting where nobody sees it.

What `encrypted` returns has to be offered to the operating system at once by whoever asked for it.
A record of which only a part left is worth nothing to the other side: it cannot even be read.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

_RECORD: Final = 16384


class TlsRefused(Exception):
    """The other side could not be proven to be the relay, or broke the protocol."""


def context_for(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the machine's certificate authorities, or those in `ca_file` alone. Raises OSError."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Tls:
    """One side of a TLS connection, in memory."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        """Expect a certificate for `server_name`."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def handshake(self, came: bytes) -> tuple[bool, bytes]:
        """Go on with what came; return whether both sides agree, and what to send."""
        self._incoming.write(came)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        except ssl.SSLCertVerificationError as error:
            raise TlsRefused(error.verify_message) from error
        except ssl.SSLError as error:
            raise TlsRefused(error.reason or type(error).__name__) from error
        return True, self._outgoing.read()

    def encrypted(self, content: bytes | memoryview) -> tuple[int, bytes]:
        """Return how many bytes of `content` one record takes, and that record."""
        try:
            taken = self._object.write(content[:_RECORD])
        except ssl.SSLError as error:
            raise TlsRefused(error.reason or type(error).__name__) from error
        return taken, self._outgoing.read()

    def decrypted(self, came: bytes) -> tuple[bytes, bool]:
        """Return what was said, and whether the other side has ended."""
        self._incoming.write(came)
        said = bytearray()
        try:
            while part := self._object.read(65536):
                said += part
        except ssl.SSLWantReadError:
            return bytes(said), False
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return bytes(said), True
        except ssl.SSLError as error:
            raise TlsRefused(error.reason or type(error).__name__) from error
        return bytes(said), True
