"""Data blobs: what a participant's client leaves with us for the others to fetch.

Small things under names, such as the schema of a data track. They are gone with their
participant. Off unless an operator allows them, as with LiveKit.
"""


class Blobs:
    """One participant's."""

    def __init__(self) -> None:
        self._contents: dict[bytes, bytes] = {}
        self._size = 0

    def store(self, key: bytes, contents: bytes, limit: int) -> bool:
        """Keep *contents*; False, and all as before, if keys and contents exceed *limit* bytes.

        What is replaced counts against the limit until it is; 0 is no limit.
        """
        size = len(key) + len(contents)
        if limit and self._size + size > limit:
            return False
        old = self._contents.get(key)
        self._size += size - (0 if old is None else len(key) + len(old))
        self._contents[key] = contents
        return True

    def get(self, key: bytes) -> bytes | None:
        return self._contents.get(key)
