"""What a browser and we agree on, as far as the tests of this folder need it."""

from typing import Final

from trio_sfu.peer.media import AUDIO, VIDEO, Format, ReceiveSection, SendSection
from trio_sfu.rtp import extensions as uris

VP8: Final = 96
RTX: Final = 97
H264: Final = 102
OPUS: Final = 111

_VIDEO_FEEDBACK: Final = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})

VIDEO_FORMATS: Final = {
    VP8: Format("video/VP8", 90_000, feedback=_VIDEO_FEEDBACK),
    RTX: Format("video/rtx", 90_000, repairs=VP8),
}
AUDIO_FORMATS: Final = {OPUS: Format("audio/opus", 48_000, 2, feedback=frozenset({"nack"}))}

MID_ID: Final = 4
RID_ID: Final = 10
REPAIRED_RID_ID: Final = 11
LEVEL_ID: Final = 1
SEND_TIME_ID: Final = 2
TRANSPORT_SEQUENCE_ID: Final = 3

EXTENSIONS: Final = {
    uris.MID: MID_ID,
    uris.RID: RID_ID,
    uris.REPAIRED_RID: REPAIRED_RID_ID,
    uris.AUDIO_LEVEL: LEVEL_ID,
    uris.ABS_SEND_TIME: SEND_TIME_ID,
    uris.TRANSPORT_SEQUENCE: TRANSPORT_SEQUENCE_ID,
}

MICROPHONE: Final = ReceiveSection("0", AUDIO, AUDIO_FORMATS, EXTENSIONS)
CAMERA: Final = ReceiveSection("1", VIDEO, VIDEO_FORMATS, EXTENSIONS)
SIMULCAST: Final = ReceiveSection("2", VIDEO, VIDEO_FORMATS, EXTENSIONS, rids=("q", "h", "f"))
DECLARED: Final = ReceiveSection("3", VIDEO, VIDEO_FORMATS, {}, ssrcs=(3000,), repairs={3001: 3000})

TO_BOB: Final = SendSection("7", VIDEO, 700, "alice", VIDEO_FORMATS, EXTENSIONS, rtx_ssrc=701)
VOICE_TO_BOB: Final = SendSection("8", AUDIO, 800, "alice", AUDIO_FORMATS, EXTENSIONS)
