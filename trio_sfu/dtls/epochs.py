"""Numbers, keys and replay windows: the state that a record layer keeps.

There are two epochs and never a third, since nobody renegotiates: epoch 0 is in
the clear, epoch 1 under the keys of the one handshake.
"""

from trio_sfu.dtls.ciphers import Protection
from trio_sfu.dtls.record import DTLS_1_2, HEADER_SIZE, MAX_PLAINTEXT, ContentType, Record
from trio_sfu.replay import ReplayWindow
from trio_sfu.wire import WireError


class ReplayError(WireError):
    """A record that came before, or so late that nobody can tell."""


class Epochs:
    """Both directions of both epochs."""

    def __init__(self) -> None:
        self._next = [0, 0]
        self._windows = (ReplayWindow(), ReplayWindow())
        self._write: Protection | None = None
        self._read: Protection | None = None

    def install(self, write: Protection, read: Protection) -> None:
        """Epoch 1 has keys from now on."""
        self._write, self._read = write, read

    @property
    def readable(self) -> bool:
        """Whether records of epoch 1 can be read."""
        return self._read is not None

    def overhead(self, epoch: int) -> int:
        """How many bytes a record has around its plaintext."""
        if epoch == 0:
            return HEADER_SIZE
        assert self._write is not None, "epoch 1 is spoken after its keys are there"
        return HEADER_SIZE + self._write.overhead

    def seal(
        self, content_type: ContentType, epoch: int, payload: bytes, version: int = DTLS_1_2
    ) -> bytes:
        """The next record of *epoch*, as it goes on the wire."""
        record = Record(content_type, epoch, self._next[epoch], payload, version)
        self._next[epoch] += 1
        if epoch == 0:
            return record.encode()
        assert self._write is not None, "epoch 1 is spoken after its keys are there"
        return self._write.seal(record).encode()

    def open(self, record: Record) -> bytes:
        """The plaintext of a record of epoch 0 or 1; `WireError` if it is to be dropped.

        In epoch 0 everybody can forge a number, so a window that moves on would let
        one packet shut out all others. There only what was surely seen is dropped.
        """
        window = self._windows[record.epoch]
        if record.epoch == 0:
            if window.seen(record.sequence):
                raise ReplayError("seen before")
            plaintext = record.payload
        else:
            assert self._read is not None, "the connection asks `readable` first"
            if not window.fresh(record.sequence):
                raise ReplayError("seen before, or too old to tell")
            plaintext = self._read.open(record)
        if len(plaintext) > MAX_PLAINTEXT:
            raise WireError(f"record with {len(plaintext)} bytes inside")
        window.note(record.sequence)
        return plaintext
