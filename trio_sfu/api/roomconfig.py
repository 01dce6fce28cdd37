"""What a token says of the room that it lets into: its claims `roomConfig` and `roomPreset`."""

from google.protobuf import json_format
from livekit.protocol.room import RoomConfiguration

from trio_sfu.api.tokens import Claims
from trio_sfu.config import RoomConfig
from trio_sfu.room.options import NOTHING, RoomOptions, preset
from trio_sfu.room.quality import MAX_QUALITY, quality_of
from trio_sfu.signalling import translate
from trio_sfu.signalling.join import Refused


def options_of(
    claims: Claims,
    rooms: RoomConfig = RoomConfig(),  # noqa: B008 - a frozen value
) -> RoomOptions:
    """The options for the room: those of the token over those of its preset, which *rooms* has.

    Raises `Refused` for those that cannot be had.
    """
    if (chosen := preset(rooms.room_configurations, claims.room_preset)) is None:
        # LiveKit answers with this status to all that its media node finds wrong.
        raise Refused(500, f"there is no room preset {claims.room_preset[:64]!r}")
    return _said(claims).over(chosen)


def _said(claims: Claims) -> RoomOptions:
    """What the token says itself."""
    if not claims.room_config:
        return NOTHING
    try:
        message = json_format.ParseDict(
            dict(claims.room_config), RoomConfiguration(), ignore_unknown_fields=True
        )
        message.SerializeToString()  # fails where a text has half a character in it
    except (json_format.ParseError, ValueError, TypeError, RecursionError):
        words = "invalid authorization token: roomConfig is no RoomConfiguration"
        raise Refused(401, words) from None
    if (word := message.tags.get(MAX_QUALITY)) and quality_of(word) is None:
        words = f"invalid authorization token: tag {MAX_QUALITY} must be low, medium or high"
        raise Refused(401, words)
    return translate.room_options(message)
