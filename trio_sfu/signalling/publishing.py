"""What a client publishes: from its announcements and offers to the room's tracks.

An offer is read twice. `plan` says what the answer wants of each section in which the
client sends; `settle` takes what was agreed, publishes what a section carries for the
first time and unpublishes what none carries any more. Either may be there first, the
announcement or its media, so an announcement settles the last offer once more.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import attrs
from livekit.protocol import models, rtc

from trio_sfu.core import Entropy
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import TrackInfo, TrackKind
from trio_sfu.room.observe import TrackAnnounced
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.track import PublishedTrack
from trio_sfu.sdp.agreement import KINDS, AgreedSection, Receiving, SectionPlan
from trio_sfu.sdp.formats import RTX
from trio_sfu.sdp.session import MediaSection
from trio_sfu.signalling import negotiation, translate
from trio_sfu.signalling.announcements import Announcements, Section, make_info
from trio_sfu.signalling.devices import picks_its_own_codec, takes_red, unpublishable
from trio_sfu.signalling.join import ClientInfo

_TF_STEREO: Final = models.AudioTrackFeature.TF_STEREO
_TF_NO_DTX: Final = models.AudioTrackFeature.TF_NO_DTX


class Publishing:
    """One client's announcements, and the tracks that come of them."""

    def __init__(
        self,
        room: Room,
        participant: Participant,
        client: ClientInfo,
        respond: Callable[[rtc.SignalResponse], None],
        entropy: Entropy,
    ) -> None:
        self.announcements = Announcements()
        self._room = room
        self._participant = participant
        self._client = client
        self._respond = respond
        self._entropy = entropy
        self._agreed: Sequence[AgreedSection] = ()
        """The sections of the client's last offer."""

    @property
    def codecs(self) -> tuple[str, ...]:
        """In which the client may publish, in our order: the room's but for the client's own
        exceptions."""
        without = unpublishable(self._client)
        return tuple(mime for mime in self._room.enabled_codecs if mime not in without)

    def announce(self, request: rtc.AddTrackRequest, kind: TrackKind) -> bool:
        """Whether it is the track's turn: it is told the client then, else when it is."""
        info = make_info(request, kind, self.codecs, self._entropy)
        published = request.cid in _names(self._participant.tracks.values())
        if not self.announcements.add(request.cid, info, published=published):
            return False
        self._room.observe(TrackAnnounced(self._room, self._participant, info))
        self._respond(_published(request.cid, info))
        self.settle(self._agreed)  # its media may have come first
        return True

    def _advance(self, staying: Collection[PublishedTrack]) -> None:
        """Names that only tracks had which are not *staying* are free for others now."""
        for each in self.announcements.advance(_names(staying)):
            self._room.observe(TrackAnnounced(self._room, self._participant, each.info))
            self._respond(_published(each.cid, each.info))

    def announced(self) -> list[rtc.SignalResponse]:
        """What the client was answered to its announcements that still wait for media."""
        return [_published(each.cid, each.info) for each in self.announcements]

    def plan(self, sections: Sequence[MediaSection]) -> dict[str, SectionPlan]:
        """What the answer wants of the sections in which the client sends."""
        sending = [
            Section(
                each.mid,
                TrackKind(each.kind),
                each.msids[0].track_id if each.msids else "",
            )
            for each in sections
            if each.mid and each.kind in KINDS and each.direction.sends and not each.rejected
        ]
        tracks = self._participant.uplink.tracks
        kept = {
            each.mid: tracks[each.mid]
            for each in sending
            if each.mid in tracks and not self._replaced(tracks[each.mid], each.track_id)
        }
        self._advance(kept.values())
        found = self.announcements.assign(each for each in sending if each.mid not in kept)
        found |= {mid: track.info for mid, track in kept.items()}
        unknown = SectionPlan(receive=Receiving(mimes=self.codecs))
        return {
            each.mid: self._section_plan(found[each.mid]) if each.mid in found else unknown
            for each in sending
        }

    def _section_plan(self, info: TrackInfo) -> SectionPlan:
        codec = info.codecs[0].mime if info.codecs and info.codecs[0].mime else None
        audio = info.kind is TrackKind.AUDIO
        return SectionPlan(
            receive=Receiving(
                mimes=self.codecs,
                prefer=codec,
                only=not audio and picks_its_own_codec(self._client),
                red=audio and self._may_repeat(info),
                dtx=_TF_NO_DTX not in info.audio_features if audio else None,
                stereo=_TF_STEREO in info.audio_features if audio else None,
            )
        )

    def _may_repeat(self, info: TrackInfo) -> bool:
        """Whether the client shall send redundant audio. Of what is encrypted nobody here
        could take the repeats away again for those who cannot read them."""
        return not info.disable_red and info.encryption == 0 and takes_red(self._client)

    def settle(self, sections: Sequence[AgreedSection]) -> None:
        """Publish what the sections carry for the first time, unpublish what they do no more."""
        self._agreed = sections
        connection = self._participant.uplink
        flowing = {each.mid: each for each in sections if each.direction.receives}
        for mid, track in list(connection.tracks.items()):
            if mid not in flowing or self._replaced(track, flowing[mid].track_id):
                self._room.unpublish(track)
            elif _media_of(flowing[mid]) != track.info.mime:
                # While it sets a codec, libwebrtc may offer the section once without: in the
                # native SDKs' case that is a race. Who subscribed did so to the wrong codec.
                self._room.unpublish(track)
                self._publish_section(connection, flowing[mid], track.info)
            else:
                track.reconfigure(negotiation.receive_section(flowing[mid]))
        self._advance(connection.tracks.values())
        news = self.announcements.assign(
            Section(mid, TrackKind(each.kind), each.track_id)
            for mid, each in flowing.items()
            if mid not in connection.tracks
        )
        for mid, info in news.items():
            self.announcements.take(info.sid)
            # Asked when it was announced; a right may have been taken since.
            if self._participant.who.grants.may_publish(info.source):
                self._publish_section(connection, flowing[mid], info)

    def _replaced(self, track: PublishedTrack, track_id: str) -> bool:
        """Whether the client uses *track*'s section for another, announced track now."""
        return track_id not in ("", track.client_id) and (
            self.announcements.find(track_id) is not None
        )

    def _publish_section(
        self, connection: PeerConnection, section: AgreedSection, info: TrackInfo
    ) -> None:
        mime = _media_of(section)
        if mime is None:
            return
        info = attrs.evolve(
            info,
            mid=section.mid,
            mime=mime,
            codecs=tuple(
                attrs.evolve(
                    codec,
                    mime=mime if codec.mime in ("", info.mime) else codec.mime,
                    mid=section.mid,
                )
                for codec in info.codecs
            ),
        )
        media = negotiation.receive_section(section)
        self._room.publish(
            PublishedTrack(info, self._participant, connection, media, section.track_id)
        )


def _media_of(section: AgreedSection) -> str | None:
    """The codec in which the client sends: the first; RTX only repeats others.

    None where a hostile offer has nothing else.
    """
    mimes = (each.mime for each in section.formats.values())
    return next((mime for mime in mimes if mime != RTX), None)


def _names(tracks: Collection[PublishedTrack]) -> set[str]:
    """What the client calls *tracks*: in its announcements, and in its offers."""
    names = {track.client_id for track in tracks}
    names |= {codec.cid for track in tracks for codec in track.info.codecs}
    return names - {""}


def _published(cid: str, info: TrackInfo) -> rtc.SignalResponse:
    return rtc.SignalResponse(
        track_published=rtc.TrackPublishedResponse(cid=cid, track=translate.track_info(info))
    )
