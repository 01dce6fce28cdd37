"""What a room can be told to be: by the API, by a token whose bearer comes first, by a preset.

Each of them says only some of it. What none says is the configuration's.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_sfu.config import RoomConfig


@attrs.frozen(kw_only=True)
class AgentOrder:
    """An agent that shall come to a room by itself."""

    agent_name: str = ""
    """Empty: any that has no name."""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    restart_policy: int = 0
    """A number of LiveKit's JobRestartPolicy."""
    deployment: str = ""


@attrs.frozen(kw_only=True)
class RoomOptions:
    """What is to be different from the configuration, or from before; empty is: nothing."""

    empty_timeout: int = 0
    departure_timeout: int = 0
    """Seconds, as in `RoomConfig`."""
    max_participants: int = 0
    metadata: str = ""
    sync_streams: bool = False
    min_playout_delay: int = 0
    max_playout_delay: int = 0
    """Milliseconds."""
    tags: Mapping[str, str] = attrs.Factory(dict)
    agents: tuple[AgentOrder, ...] = ()

    def over(self, other: "RoomOptions") -> "RoomOptions":
        """These, and what *other* says where these say nothing."""
        return attrs.evolve(
            other,
            **{name: value for name, value in attrs.asdict(self, recurse=False).items() if value},
        )

    def apply(self, config: RoomConfig) -> RoomConfig:
        """*config* with what of it these say otherwise."""
        said = {name: getattr(self, name) for name in _CONFIGURED}
        return attrs.evolve(config, **{name: value for name, value in said.items() if value})


_CONFIGURED: Final = ("empty_timeout", "departure_timeout", "max_participants", "sync_streams")

NOTHING: Final = RoomOptions()


def preset(configured: Mapping[str, Mapping[str, object]], name: str) -> RoomOptions | None:
    """What is *configured* under that *name*; nothing for "", None if there is none such."""
    if not name:
        return NOTHING
    if (said := configured.get(name)) is None:
        return None
    known: dict[str, Any] = {each: said[each] for each in _PRESET if each in said}
    if "agents" in known:
        known["agents"] = tuple(AgentOrder(**each) for each in known["agents"])
    return RoomOptions(**known)


_PRESET: Final = tuple(field.name for field in attrs.fields(RoomOptions))
