"""TLS in front of HTTP, for whoever has no proxy that does it.

The context is one for the life of the server, so that a listener need not be opened
anew for a new certificate: who has shaken hands goes on, who comes next is shown the
new one.
"""

import ssl
from typing import Any

import trio

from trio_sfu.config import ConfigError, TlsConfig
from trio_sfu.settings import read_private


class Certificates:
    """What we show to clients, read from files."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises `ConfigError`."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["http/1.1"])
        self.read(config)

    def read(self, config: TlsConfig) -> None:
        """Show from now on what the files hold. Raises `ConfigError`, with all as it was."""
        read_private(config.key_file, "key of the certificate")
        try:
            # First into one that nobody uses: half a pair must not be left in ours.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                config.cert_file, config.key_file, _no_password
            )
            self.context.load_cert_chain(config.cert_file, config.key_file, _no_password)
        except ssl.SSLError as error:
            reason = error.reason or "it is no certificate in PEM with its key"
            raise ConfigError(
                f"{config.cert_file}: the certificate and its key ({config.key_file}) cannot be "
                f"used: {reason.replace('_', ' ').lower()}"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{config.cert_file}: the certificate cannot be read: {error.strerror}"
            ) from None


def _no_password() -> str:
    """OpenSSL would ask on the terminal, and the server would stand still."""
    return ""


class SecureStream(trio.abc.HalfCloseableStream):
    """TLS on top of *transport*; the handshake happens with the first byte."""

    def __init__(self, transport: trio.SocketStream, context: ssl.SSLContext) -> None:
        self.transport = transport
        self._stream: trio.SSLStream[Any] = trio.SSLStream(
            transport, context, server_side=True, https_compatible=True
        )

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """TLS has no half of a close; HTTP says by other means that an answer is over."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await self._stream.aclose()
