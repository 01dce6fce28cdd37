"""What a participant of PyPI `livekit` says and hears beside pictures and sound."""

import asyncio
from typing import Any, Final

from ballast import ballast, ballast_text, digest
from livekit import rtc

LONG_PAYLOAD: Final = 15_360
"""Bytes: what one packet may carry as a procedure's answer."""


class PythonWords:
    """The words of `conversation.py` that are about data, procedures and people."""

    room: rtc.Room

    def begin_words(self) -> None:
        """Instead of a constructor: called where the event loop is."""
        self._tasks: list[asyncio.Future[Any]] = []
        self._packets: list[dict[str, str]] = []
        self._texts: list[str] = []
        self._streams: list[dict[str, Any]] = []
        self._endings: list[str] = []
        self._departures: dict[str, str] = {}
        self._data_tracks: dict[str, rtc.LocalDataTrack] = {}
        self._frames: list[dict[str, str]] = []

    # --- the words ---

    async def send(self, kind: str, text: str, topic: str) -> None:
        await self.room.local_participant.publish_data(
            text, reliable=kind == "reliable", topic=topic
        )

    async def packets(self) -> list[dict[str, str]]:
        return self._packets

    async def text(self, text: str, topic: str) -> None:
        await self.room.local_participant.send_text(text, topic=topic)

    async def texts(self) -> list[str]:
        return self._texts

    async def stream(self, kind: str, size: int) -> None:
        """Sends so many bytes of text, or of a file."""
        me = self.room.local_participant
        if kind == "text":
            await me.send_text(ballast_text(size), topic="ballast")
        else:
            await me.send_bytes(ballast(size), topic="ballast")

    async def streams(self) -> list[dict[str, Any]]:
        return self._streams

    async def call(self, identity: str, payload: str) -> str:
        return await self.room.local_participant.perform_rpc(
            destination_identity=identity, method="double", payload=payload
        )

    async def calls(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Many procedures at once; of each what came of it."""
        return await asyncio.gather(*(self._perform(**call) for call in calls))

    async def _perform(
        self, identity: str, method: str, payload: str, seconds: float
    ) -> dict[str, Any]:
        try:
            value = await self.room.local_participant.perform_rpc(
                destination_identity=identity,
                method=method,
                payload=payload,
                response_timeout=seconds,
            )
        except rtc.RpcError as error:
            return {"code": error.code, "message": error.message, "data": error.data or ""}
        return {"value": value}

    async def set(self, name: str, metadata: str, attributes: dict[str, str]) -> None:
        me = self.room.local_participant
        await me.set_name(name)
        await me.set_metadata(metadata)
        await me.set_attributes(attributes)

    async def profile(self, identity: str) -> dict[str, Any]:
        who = self.room.remote_participants.get(identity)
        if who is None:
            return {}
        return {"name": who.name, "metadata": who.metadata, "attributes": who.attributes}

    async def room_metadata(self) -> str:
        return self.room.metadata

    async def silenced(self) -> list[str]:
        mine = self.room.local_participant.track_publications.values()
        return [one.name for one in mine if one.muted]

    async def permission(self) -> dict[str, bool]:
        has = self.room.local_participant.permissions
        return {
            "publish": has.can_publish,
            "subscribe": has.can_subscribe,
            "data": has.can_publish_data,
        }

    async def permit(self, identities: list[str] | None) -> None:
        listed = [
            rtc.ParticipantTrackPermission(participant_identity=each, allow_all=True)
            for each in identities or []
        ]
        self.room.local_participant.set_track_subscription_permissions(
            allow_all_participants=identities is None, participant_permissions=listed
        )

    async def endings(self) -> list[str]:
        return self._endings

    async def departures(self) -> dict[str, str]:
        return self._departures

    async def open_data_track(self, name: str) -> None:
        track = await self.room.local_participant.publish_data_track(name=name)
        self._data_tracks[name] = track

    async def push(self, name: str, text: str) -> None:
        self._data_tracks[name].try_push(rtc.DataTrackFrame(payload=text.encode()))

    async def close_data_track(self, name: str) -> None:
        await self._data_tracks.pop(name).unpublish()

    async def frames(self) -> list[dict[str, str]]:
        return self._frames

    # --- what comes in ---

    def listen_for_words(self) -> None:
        """Notes what the room tells; before it is connected, so that nothing is missed."""
        room = self.room
        room.on("data_received", self._data_received)
        room.on("disconnected", lambda why: self._endings.append(rtc.DisconnectReason.Name(why)))
        room.on("participant_disconnected", self._departed)
        room.on("data_track_published", lambda track: self._follow(self._read_track(track)))
        room.register_text_stream_handler(
            "long", lambda reader, _who: self._follow(self._read(reader))
        )
        room.register_text_stream_handler(
            "ballast", lambda reader, who: self._follow(self._weigh_text(reader, who))
        )
        room.register_byte_stream_handler(
            "ballast", lambda reader, who: self._follow(self._weigh_bytes(reader, who))
        )

    def answer_calls(self) -> None:
        """What others may call, once the room is connected."""

        async def double(call: rtc.RpcInvocationData) -> str:
            return call.payload * 2

        async def echo(call: rtc.RpcInvocationData) -> str:
            return call.payload

        async def refuse(_: rtc.RpcInvocationData) -> str:
            raise rtc.RpcError(4711, "no luck", "today")

        async def break_(_: rtc.RpcInvocationData) -> str:
            raise ValueError("a bug, on purpose")

        async def sleep(_: rtc.RpcInvocationData) -> str:
            await asyncio.sleep(4)
            return "rested"

        async def overflow(_: rtc.RpcInvocationData) -> str:
            return "x" * (LONG_PAYLOAD + 1)

        for answer in (double, echo, refuse, break_, sleep, overflow):
            name = answer.__name__.rstrip("_")
            self.room.local_participant.register_rpc_method(name, answer)

    def _follow(self, coroutine: Any) -> None:
        self._tasks.append(asyncio.ensure_future(coroutine))

    def _departed(self, who: rtc.RemoteParticipant) -> None:
        reason = who.disconnect_reason
        self._departures[who.identity] = rtc.DisconnectReason.Name(reason) if reason else ""

    def _data_received(self, packet: rtc.DataPacket) -> None:
        self._packets.append(
            {
                "text": packet.data.decode(),
                "topic": packet.topic or "",
                "sender": packet.participant.identity if packet.participant else "",
            }
        )

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        self._texts.append(await reader.read_all())

    async def _weigh_text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        parts = [part async for part in reader]
        self._weighed("text", "".join(parts).encode(), sender)

    async def _weigh_bytes(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        parts = [part async for part in reader]
        self._weighed("bytes", b"".join(parts), sender)

    def _weighed(self, kind: str, data: bytes, sender: str) -> None:
        self._streams.append(
            {"kind": kind, "sender": sender, "size": len(data), "digest": digest(data)}
        )

    async def _read_track(self, track: rtc.RemoteDataTrack) -> None:
        about = {"sender": track.publisher_identity, "name": track.info.name}
        async for frame in track.subscribe():
            self._frames.append({**about, "text": frame.payload.decode()})
        self._frames.append({**about, "text": "ended"})
