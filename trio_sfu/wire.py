"""Bounds-checked reading of untrusted bytes.

Every decoder reads through `Reader`, and `Reader` can fail in one way only:
`WireError`. A caller that catches `WireError` has therefore caught every
malformed packet there is; no `IndexError`, `struct.error` or
`UnicodeDecodeError` can escape a decoder.
"""

from trio_sfu.errors import WireError

__all__ = ["Reader", "WireError"]


class Reader:
    """A cursor over bytes that came from the network.

    ``while reader:`` ends if each round reads a field: reading advances or raises.
    """

    __slots__ = ("_data", "_pos")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    def __len__(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._pos

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self):
            raise WireError(f"asked for {count} bytes, have {len(self)}")
        start = self._pos
        self._pos += count
        return self._data[start : self._pos]

    def rest(self) -> bytes:
        """All that is left; may be empty."""
        return self.take(len(self))

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u24(self) -> int:
        return int.from_bytes(self.take(3), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u48(self) -> int:
        return int.from_bytes(self.take(6), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def text(self, count: int) -> str:
        """*count* bytes of UTF-8."""
        try:
            return self.take(count).decode()
        except UnicodeDecodeError:
            raise WireError("text is not UTF-8") from None

    def block(self, count: int) -> "Reader":
        """Take *count* bytes as a reader of their own (a TLS vector, an RTCP body)."""
        return Reader(self.take(count))

    def end(self) -> None:
        """Insist that everything was read."""
        if self:
            raise WireError(f"{len(self)} bytes too many")
