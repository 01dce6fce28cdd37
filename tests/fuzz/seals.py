"""Puts right what protects a packet from chance, so that a fuzzer gets past it.

A checksum over arbitrary bytes is wrong in all but one of four billion; whoever
means us harm computes it. So does this.
"""

import hmac
import zlib
from typing import Final

from trio_sfu.sctp.crc32c import crc32c
from trio_sfu.sctp.packet import assemble

KEY: Final = b"a password of the peer's"

_COOKIE: Final = bytes.fromhex("2112a442")


def stun(
    kind: int,
    transaction: bytes,
    attributes: bytes,
    key: bytes | None,
    *,
    fingerprint: bool = True,
) -> bytes:
    """A STUN message with whatever attributes, sealed with *key* if there is one."""
    body = attributes + bytes(-len(attributes) % 4)

    def head(length: int) -> bytes:
        return (
            (kind & 0x3FFF).to_bytes(2, "big") + length.to_bytes(2, "big") + _COOKIE + transaction
        )

    if key is not None:
        covered = head(len(body) + 24) + body
        body += b"\x00\x08\x00\x14" + hmac.digest(key, covered, "sha1")
    if fingerprint:
        covered = head(len(body) + 8) + body
        body += b"\x80\x28\x00\x04" + (zlib.crc32(covered) ^ 0x5354554E).to_bytes(4, "big")
    return head(len(body)) + body


def attribute(code: int, value: bytes) -> bytes:
    """One STUN attribute, padded."""
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def sctp(tag: int, chunks: bytes) -> bytes:
    """An SCTP packet with whatever chunks, and its checksum."""
    return assemble(5000, 5000, tag, [chunks])


def summed(packet: bytes) -> bytes:
    """A whole SCTP packet, ports and all, with the checksum that it should have."""
    checksum = crc32c(packet[:8] + bytes(4) + packet[12:])
    return packet[:8] + checksum.to_bytes(4, "little") + packet[12:]
