"""A request as the routes see it: read from its head, once, for all of them.

The rule: nothing here waits and nothing here trusts. What cannot be read raises
`ValueError`, and the only words of a proxy that are believed are for display.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs
import h11
import trio

from trio_sfu.api.tls import SecureStream

PARAMETERS_LIMIT: Final = 100
"""Parameters in one query; LiveKit's clients send some twenty."""


@attrs.frozen(kw_only=True)
class Request:
    """A request whose head, and body if its route takes one, came whole."""

    method: str
    path: str
    """Decoded; begins with exactly one slash."""
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Tokens travel here, so it has no repr. Of a repeated name the first counts."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """By lower-case name; of a repeated name all, joined with commas."""
    body: bytes = attrs.field(default=b"", repr=False)
    client: str = ""
    """The address it came from, as the proxy in front of us says or as we see it."""


def read_request(head: h11.Request, peer: str) -> Request:
    """Raises `ValueError` if its target cannot be read."""
    target = head.target.decode("latin-1")
    if target.lower().startswith(("http://", "https://")):  # a proxy's form, RFC 9112 section 3.2.2
        target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
    path, _, query = target.partition("?")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(
        query, keep_blank_values=True, max_num_fields=PARAMETERS_LIMIT, errors="replace"
    ):
        parameters.setdefault(name, value)
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(
        method=head.method.decode("latin-1"),
        # A server's address pasted with a slash at its end makes `//rtc`.
        path="/" + unquote(path, errors="replace").lstrip("/"),
        query=parameters,
        headers=headers,
        client=_client_address(headers) or peer,
    )


def _client_address(headers: Mapping[str, str]) -> str:
    """What a proxy says, in LiveKit's order; empty if none of it is an address.

    Anybody can write these headers, so nothing may be allowed because of them.
    """
    for name in "cf-connecting-ip", "x-forwarded-for", "x-real-ip":
        address = headers.get(name, "").split(",")[0].strip()
        if address:
            try:
                return str(ip_address(address))
            except ValueError:
                continue
    return ""


def peer_address(stream: trio.abc.Stream) -> str:
    """Whom we see at the other end; "" if that is nobody with an address."""
    if isinstance(stream, SecureStream):
        stream = stream.transport
    if not isinstance(stream, trio.SocketStream):
        return ""
    try:
        address = stream.socket.getpeername()
    except OSError:  # gone before we looked
        return ""
    return str(address[0])
