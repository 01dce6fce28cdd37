"""The dependency descriptor: which frames a frame needs, told outside of the codec.

RTP payload format for AV1, v1.0, appendix A. It lets an SFU choose among the layers
of one stream (SVC) without knowing the codec, even where the payload is encrypted.

Naively each frame would list the frames it refers to, and for which resolutions
and frame rates (*decode targets*) it matters. But encoders repeat a pattern, so the
patterns, *templates*, are sent once, with a key frame, and a frame names one of
them in six bits: three bytes for most packets. Hence a descriptor can only be
understood with the `Structure` that came last, and until one came, not at all.

     first, last        1 bit each   of the frame's packets
     template           6            which pattern
     frame number       16
     ---- the rest only if there are more than three bytes ----
     5 flags            1 each       what follows
     structure                       the templates, with a key frame
     active targets                  which decode targets the stream still has
     dtis, fdiffs, chains            where this frame differs from its template

Numbers are not aligned to bytes, so there is a reader of bits here. It is bounded
like `Reader`, and every list by the limits of its own number of bits.
"""

import enum
from typing import Final, Self

import attrs

from trio_sfu.errors import WireError

MANDATORY: Final = 3
"""Bytes of the shortest descriptor."""
TEMPLATE_LIMIT: Final = 64
"""Templates, since six bits name one (A.8.3.1)."""
TARGET_LIMIT: Final = 32
LAYER_LIMIT: Final = 8
"""Spatial layers at most, the AV1 bitstream has as many (three bits)."""


class Indication(enum.IntEnum):
    """What a frame is for a decode target (DTI)."""

    NOT_PRESENT = 0
    DISCARDABLE = 1
    SWITCH = 2
    """All frames of the target after this one can be decoded: begin here."""
    REQUIRED = 3


@attrs.frozen
class Template:
    """A frame's place in the pattern."""

    spatial: int
    temporal: int
    indications: tuple[Indication, ...]
    """One for each decode target."""
    frame_diffs: tuple[int, ...] = ()
    """How many frames back each frame lies that this one refers to."""
    chain_diffs: tuple[int, ...] = ()
    """For each chain, how many frames back its last frame lies; 0 if there is none."""


@attrs.frozen
class Structure:
    """What the frames after a key frame may be."""

    template_offset: int
    """The id of the first template, so that ids do not repeat too soon."""
    targets: int
    """How many decode targets there are."""
    templates: tuple[Template, ...]
    protected_by: tuple[int, ...] = ()
    """The chain that protects each target; empty without chains."""
    resolutions: tuple[tuple[int, int], ...] = ()
    """Width and height of each spatial layer, if told."""

    def layers_of(self, target: int) -> tuple[int, int]:
        """The highest spatial and temporal layer that a decode target has."""
        present = [
            template
            for template in self.templates
            if template.indications[target] is not Indication.NOT_PRESENT
        ]
        return (
            max((template.spatial for template in present), default=0),
            max((template.temporal for template in present), default=0),
        )


@attrs.frozen
class DependencyDescriptor:
    """What the extension says of one packet's frame."""

    first: bool
    """Whether the packet is the first of its frame."""
    last: bool
    frame_number: int
    """16 bits."""
    template: Template
    """The pattern, with what this frame has otherwise already put in."""
    structure: Structure
    """The one that it was read by, which may have come with it."""
    new_structure: bool
    active_targets: int | None
    """A bit for each decode target that the stream has, the lowest for the first; None
    where nothing is said, and then what was said last still holds."""
    resolution: tuple[int, int] | None = None

    @property
    def key_frame(self) -> bool:
        """A structure comes with key frames only (A.4)."""
        return self.new_structure and self.first

    @classmethod
    def decode(cls, value: bytes, structure: Structure | None) -> Self:
        """Read an extension by the *structure* that came last; `WireError` if it needs one."""
        bits = _Bits(value)
        first, last = bits.flag(), bits.flag()
        template_id, frame_number = bits.take(6), bits.take(16)
        new_structure = has_active = has_dtis = has_diffs = has_chains = False
        if len(value) > MANDATORY:
            new_structure, has_active = bits.flag(), bits.flag()
            has_dtis, has_diffs, has_chains = bits.flag(), bits.flag(), bits.flag()
        if new_structure:
            structure = _structure(bits)
        if structure is None:
            raise WireError("a dependency descriptor before any structure")
        active = (1 << structure.targets) - 1 if new_structure else None
        if has_active:
            active = bits.take(structure.targets)
        index = (template_id - structure.template_offset) % TEMPLATE_LIMIT
        if index >= len(structure.templates):
            raise WireError(f"dependency template {template_id} is not in the structure")
        template = structure.templates[index]
        if has_dtis:
            template = attrs.evolve(template, indications=_indications(bits, structure.targets))
        if has_diffs:
            template = attrs.evolve(template, frame_diffs=_frame_diffs(bits))
        if has_chains:
            chains = tuple(bits.take(8) for _ in template.chain_diffs)
            template = attrs.evolve(template, chain_diffs=chains)
        resolution = None
        if template.spatial < len(structure.resolutions):
            resolution = structure.resolutions[template.spatial]
        return cls(
            first, last, frame_number, template, structure, new_structure, active, resolution
        )


def _structure(bits: "_Bits") -> Structure:
    offset, targets = bits.take(6), bits.take(5) + 1
    layers = _layers(bits)
    indications = [_indications(bits, targets) for _ in layers]
    diffs = [_template_diffs(bits) for _ in layers]
    chains = bits.non_symmetric(targets + 1)
    protected_by: tuple[int, ...] = ()
    chain_diffs: list[tuple[int, ...]] = [() for _ in layers]
    if chains:
        protected_by = tuple(bits.non_symmetric(chains) for _ in range(targets))
        chain_diffs = [tuple(bits.take(4) for _ in range(chains)) for _ in layers]
    resolutions: tuple[tuple[int, int], ...] = ()
    if bits.flag():
        highest = max(spatial for spatial, _ in layers)
        resolutions = tuple((bits.take(16) + 1, bits.take(16) + 1) for _ in range(highest + 1))
    templates = tuple(
        Template(spatial, temporal, targets_of, refers, chained)
        for (spatial, temporal), targets_of, refers, chained in zip(
            layers, indications, diffs, chain_diffs, strict=True
        )
    )
    return Structure(offset, targets, templates, protected_by, resolutions)


def _layers(bits: "_Bits") -> list[tuple[int, int]]:
    """Of each template its spatial and temporal layer; after each, two bits say what next."""
    spatial = temporal = 0
    layers: list[tuple[int, int]] = []
    while True:
        layers.append((spatial, temporal))
        if len(layers) > TEMPLATE_LIMIT:
            raise WireError("too many dependency templates")
        step = bits.take(2)
        if step == 3:
            return layers
        if step == 1:
            temporal += 1
        elif step == 2:
            temporal, spatial = 0, spatial + 1
        if spatial >= LAYER_LIMIT or temporal >= LAYER_LIMIT:
            raise WireError("too many layers in a dependency structure")


def _indications(bits: "_Bits", targets: int) -> tuple[Indication, ...]:
    return tuple(Indication(bits.take(2)) for _ in range(targets))


def _template_diffs(bits: "_Bits") -> tuple[int, ...]:
    diffs: list[int] = []
    while bits.flag():
        diffs.append(bits.take(4) + 1)
    return tuple(diffs)


def _frame_diffs(bits: "_Bits") -> tuple[int, ...]:
    """Each has its own width: none (the end), four, eight or twelve bits."""
    diffs: list[int] = []
    while nibbles := bits.take(2):
        diffs.append(bits.take(4 * nibbles) + 1)
    return tuple(diffs)


class _Bits:
    """A cursor over bits, first the highest of each byte; fails only with `WireError`."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise WireError(f"asked for {count} bits, have {self._left}")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.take(1))

    def non_symmetric(self, limit: int) -> int:
        """A number below *limit* in as few bits as will do (AV1 specification 4.10.7)."""
        width = limit.bit_length()
        short = (1 << width) - limit
        number = self.take(width - 1)
        if number < short:
            return number
        return (number << 1 | self.take(1)) - short
