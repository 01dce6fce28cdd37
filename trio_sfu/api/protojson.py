"""Protobuf as JSON, the way LiveKit's server API writes it.

Names are the fields' own ("empty_timeout"), and every field is there: numbers that are
0, empty lists, and null for a message that is not. What belongs to a oneof is there only
if it is the one. Protobuf's own library for Python can write this but for the nulls, and
takes 0.2 ms for a participant; a list of five hundred would hold up everybody's media for
a tenth of a second. So a writer is made for each type of message once, which takes a
tenth of that.
"""

import base64
import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

_WIDE: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
"""JavaScript's numbers are too narrow for these, so they are texts."""
_FLOATS: Final = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})

Value = Callable[[Any], object]
Write = Callable[[Any, dict[str, object]], None]
"""Puts one field of a message into an object."""


def encode(message: Message) -> str:
    """*message* as JSON, all fields in it."""
    return json.dumps(
        _value_of(message.DESCRIPTOR)(message), ensure_ascii=False, separators=(",", ":")
    )


def decode(text: bytes, into: Message) -> bool:
    """Read JSON into *into*; False for what does not fit. Fields that are unknown are passed over.

    Like LiveKit's, it takes a field by either of its names ("emptyTimeout" too).
    """
    if not text.lstrip().startswith(b"{"):  # the library takes an empty list for a message
        return False
    try:
        json_format.Parse(text.decode(), into, ignore_unknown_fields=True)
        into.SerializeToString()  # a text with half a character in it fails here
    except (json_format.ParseError, ValueError, TypeError, RecursionError):
        return False
    return True


@cache
def _value_of(descriptor: Descriptor) -> Value:
    """What writes a message of this type."""
    if descriptor.full_name.startswith("google.protobuf."):
        return lambda message: json_format.MessageToDict(message)
    writers: list[Write] = []

    def write(message: Message) -> dict[str, object]:
        into: dict[str, object] = {}
        for each in writers:
            each(message, into)
        return into

    # Looked up at the first message only: a type may contain itself.
    def begin(message: Message) -> dict[str, object]:
        if not writers:
            writers.extend(map(_writer_of, descriptor.fields))
        return write(message)

    return begin


def _writer_of(field: FieldDescriptor) -> Write:
    name = field.name
    value = _value_in(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, item = (
            field.message_type.fields_by_name["key"],
            field.message_type.fields_by_name["value"],
        )
        as_key, as_item = _key_of(key), _value_in(item)

        def write(message: Any, into: dict[str, object]) -> None:
            entries = getattr(message, name)
            # Asking for an entry of a map of messages makes one, hence not `items()`.
            into[name] = {as_key(each): as_item(entries[each]) for each in entries}

    elif field.is_repeated:

        def write(message: Any, into: dict[str, object]) -> None:
            into[name] = [value(each) for each in getattr(message, name)]

    elif field.containing_oneof is not None:

        def write(message: Any, into: dict[str, object]) -> None:
            if message.HasField(name):
                into[name] = value(getattr(message, name))

    elif field.message_type is not None:

        def write(message: Any, into: dict[str, object]) -> None:
            into[name] = value(getattr(message, name)) if message.HasField(name) else None

    else:

        def write(message: Any, into: dict[str, object]) -> None:
            into[name] = value(getattr(message, name))

    return write


def _key_of(field: FieldDescriptor) -> Callable[[Any], str]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return lambda key: "true" if key else "false"
    return str


def _value_in(field: FieldDescriptor) -> Value:
    """What writes one value of *field*."""
    if field.message_type is not None:
        return _value_of(field.message_type)
    if field.enum_type is not None:
        return _name_of(field.enum_type)
    if field.cpp_type in _WIDE:
        return str
    if field.cpp_type in _FLOATS:
        return _number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    return lambda value: value


def _name_of(enum: EnumDescriptor) -> Value:
    """A number that has no name stays a number."""
    names: dict[int, str] = {}
    for each in enum.values:
        names.setdefault(each.number, each.name)
    return lambda number: names.get(number, number)


def _number(value: float) -> object:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
