"""Messages with anything in them that protobuf lets through."""

import random

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

TEXTS = ("", "x", "TR_x", "\0", "é" * 50, "v=0\r\n", '{"candidate": "x"}', "q" * 70_000)
NUMBERS = (0, 1, 2, 3, 4, 99, 65_535)
SIGNED = (*NUMBERS, -1, -(2**31), 2**31 - 1)


def fill(message: Message, dice: random.Random, depth: int = 3) -> Message:
    """Put something into *message*, and return it."""
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.3:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            continue
        repeated = field.is_repeated
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth:
                value = getattr(message, field.name)
                for _ in range(dice.choice((1, 3, 40)) if repeated else 1):
                    fill(value.add() if repeated else value, dice, depth - 1)
        elif repeated:
            values = [_value(field, dice) for _ in range(dice.choice((0, 1, 40)))]
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, _value(field, dice))
    return message


def _value(field: FieldDescriptor, dice: random.Random) -> object:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = dice.choice(TEXTS)
            return text if field.type == FieldDescriptor.TYPE_STRING else text.encode()
        case FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return dice.choice((0.0, -1.0, float("nan"), float("inf")))
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return dice.choice((*NUMBERS, 2**32 - 1))
    return dice.choice(SIGNED)
