"""Megabytes that every party makes in the same way, and that do not compress: see ballast.mjs."""

import hashlib
from typing import Final

import numpy as np

ALPHABET: Final = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)


def ballast(size: int) -> bytes:
    """Byte *at* is the last of a number that *at* is scrambled to."""
    at = np.arange(size, dtype=np.uint32)
    at ^= at >> 16
    at *= np.uint32(0x85EBCA6B)
    at ^= at >> 13
    at *= np.uint32(0xC2B2AE35)
    at ^= at >> 16
    return (at & 255).astype(np.uint8).tobytes()


def ballast_text(size: int) -> str:
    """The same in letters, with an umlaut to begin with: *size* bytes in UTF-8."""
    numbers = np.frombuffer(ballast(size - 2), np.uint8)
    return "ü" + ALPHABET[numbers & 63].tobytes().decode("ascii")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
