"""A TCP proxy between one client and a server, which reads how each connection begins.

Which path a client joined by is seen here, on the wire, and not believed of its options.
"""

import contextlib
import socket
import threading
from typing import Final
from urllib.parse import urlsplit

CHUNK: Final = 65536
HEAD_BYTES: Final = 64 * 1024
"""A request line with a whole SDP in it is some kilobytes."""


class Tap:
    """Listens on a port of its own, and passes every connection on to the server."""

    def __init__(self, url: str) -> None:
        """*url*: ws:// of the server; what the client is told instead is `url`."""
        where = urlsplit(url)
        self._server = (where.hostname or "127.0.0.1", where.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[tuple[str, int]] = []
        """(path, status of the answer) of the first request of every connection."""
        threading.Thread(target=self._accept, daemon=True).start()

    def joined(self) -> list[str]:
        """The paths of all WebSockets that were opened."""
        return [path for path, status in self.requests if status == 101]

    def close(self) -> None:
        # Who waits in accept() is not woken by close() alone.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            asked = _head(client)
            if not asked:
                return
            with socket.create_connection(self._server) as server:
                server.sendall(asked)
                answered = _head(server)
                self._note(asked, answered)
                client.sendall(answered)
                back = threading.Thread(target=_pump, args=[server, client], daemon=True)
                back.start()
                _pump(client, server)
                back.join()

    def _note(self, asked: bytes, answered: bytes) -> None:
        target = asked.split(b" ", 2)[1].decode("ascii", "replace")
        status = answered.split(b" ", 2)[1:2]
        self.requests.append((urlsplit(target).path, int(status[0]) if status else 0))


def _head(source: socket.socket) -> bytes:
    """All bytes up to the empty line, and whatever came with it."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
        some = source.recv(CHUNK)
        if not some:
            break
        head += some
    return head


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := source.recv(CHUNK):
            sink.sendall(some)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
