"""Two participants of PyPI `livekit` see each other through a network that loses packets.

    python tests/interop/lossy_call.py [--loss 0.02] [--seconds 60] [--command 'server ...']

libwebrtc is on both ends, our server between them, and of all that goes to or from the
server this share is lost (see `lossy_link.py`, which needs root). What is lost on the first hop
our server has to ask for, what is lost on the second it has to send again. If both work, every
picture is decoded in the end, and none stands for long before the next one comes.

A picture also stands where the camera draws the next one late; that is taken off. And all that
takes part is scheduled ahead of what else the machine does, which would otherwise be
measured, too. `--command` tries another server in place of ours, for comparison: one that
serves ws://10.99.0.2:7880 and knows the key.
"""

import argparse
import math
import os
import secrets
import shlex
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from conversation import join, until, view
from google.protobuf.json_format import MessageToDict
from lossy_link import OUR_SERVER, Link, enter_near_side, far_server
from pictures import ROW, Luma, share_seen
from python_party import PythonParty
from server import arguments, token
from verdict import Verdict

GRAIN: Final = 4
NOISE: Final = np.random.default_rng(1).integers(0, 24, (16, 271, 481), np.uint8)
"""What a picture is strewn with, in grains of 4x4 pixels, up to full HD. No two pictures running
are alike, so all the bandwidth there is goes into them: several packets each."""

COUNTED: Final = (
    "framesDecoded", "framesDropped", "keyFramesDecoded", "nackCount", "pliCount", "firCount",
    "freezeCount", "totalFreezeDuration", "packetsReceived", "packetsLost",
    "retransmittedPacketsReceived",
)  # fmt: skip
"""Of what libwebrtc counts of a stream that it receives: what is worth a place in the report."""


class MeasuredParty(PythonParty):
    """Has a picture that takes many packets, and tells what libwebrtc counted of somebody's."""

    def picture(self) -> Luma:
        luma = super().picture()
        height, width = luma.shape
        below = luma[height // ROW :]
        coarse = NOISE[self._number % len(NOISE), : height // GRAIN + 1, : width // GRAIN + 1]
        below += coarse.repeat(GRAIN, 0).repeat(GRAIN, 1)[: len(below), :width]
        return luma

    async def statistics(self, identity: str) -> dict[str, int]:
        tracks = self.room.remote_participants[identity].track_publications.values()
        camera = next(one.track for one in tracks if one.name == "camera")
        for each in await camera.get_stats():
            if each.HasField("inbound_rtp"):
                parts = MessageToDict(each.inbound_rtp).values()
                found = {name: value for part in parts for name, value in part.items()}
                return {name: int(found[name]) for name in COUNTED if name in found}
        return {}


def stills(sent: dict[int, float], seen: dict[int, float]) -> list[float]:
    """How long each picture stood, in seconds, less what the camera was late with the next."""
    drawn = list(sent.values())
    usual = statistics.median(after - before for before, after in pairwise(drawn))
    found = []
    for (before, first), (after, then) in pairwise(sorted((seen[each], each) for each in seen)):
        between = [sent[each] for each in range(first, then + 1) if each in sent]
        late = max((later - sooner - usual for sooner, later in pairwise(between)), default=0.0)
        found.append((after - before - max(0.0, late)) / 1000)
    return found


def measure(
    options: argparse.Namespace,
    sender: PythonParty,
    watcher: PythonParty,
    before: dict[str, int],
    verdict: Verdict,
) -> None:
    """What the watcher saw of what the sender has drawn since it was told to count."""
    way = f"{sender.identity} to {watcher.identity}"
    sent = dict(sender.ask("sent"))
    seen = {
        each: when for each, when in watcher.ask("seen", identity=sender.identity) if each in sent
    }
    counted = watcher.ask("statistics", identity=sender.identity)
    stood = sorted(stills(sent, seen))
    # Of pictures that are ready at once, as after a repair, the SDK hands out only the last: so
    # libwebrtc itself is asked how many it has decoded.
    decoded = counted.get("framesDecoded", 0) - before.get("framesDecoded", 0)
    share = decoded / len(sent)
    verdict.check(f"pictures are decoded, {way}", share >= options.enough, f"{share:.1%}")
    longest = stood[-1] if stood else math.inf
    found = f"{longest * 1000:.0f} ms the longest"
    verdict.check(f"none stands {options.longest:g} s, {way}", longest < options.longest, found)
    figures = {
        "pictures": len(sent),
        "share_decoded": round(share, 4),
        "share_handed_out": round(share_seen(sent, seen), 4),
        **{
            f"stands_ms_{name}": round(stood[int(len(stood) * at)] * 1000)
            for name, at in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))
            if stood
        },
        "stands_ms_max": round(longest * 1000) if stood else -1,
        **{name: value - before.get(name, 0) for name, value in counted.items()},
    }
    verdict.figures[way] = figures


def hold(options: argparse.Namespace, url: str, link: Link, verdict: Verdict) -> None:
    parties = [MeasuredParty("alice", 600), MeasuredParty("bob", 1000)]
    alice, bob = parties
    room = f"lossy-{secrets.token_hex(4)}"
    link.lose(options.loss)
    try:
        for party in parties:
            join(options, party, url, token(options, room, party.identity), None)
        for sender, watcher in ((alice, bob), (bob, alice)):
            came = until(lambda s=sender, w=watcher: view(w, s)["pictures"] > 5)
            verdict.check(f"pictures of {sender.identity} arrive", came)
        time.sleep(options.settle)
        ways = [(alice, bob), (bob, alice)]
        before = [watcher.ask("statistics", identity=sender.identity) for sender, watcher in ways]
        for party in parties:
            party.ask("count")
        time.sleep(options.seconds)
        for (sender, watcher), counted in zip(ways, before, strict=True):
            measure(options, sender, watcher, counted, verdict)
        for way, (went, lost) in zip(
            ("server to clients", "clients to server"), link.counted(), strict=True
        ):
            verdict.figures[way] = {"packets": went, "lost": lost}
            print(f"{way}: {lost} of {went} packets lost, {lost / max(1, went):.2%}")
    finally:
        for party in parties:
            party.close()


def main() -> int:
    parser = arguments("Two stock clients see each other through a network that loses packets.")
    parser.set_defaults(seconds=60.0, rate=25)
    parser.add_argument("--loss", type=float, default=0.02, help="share of packets, each way")
    parser.add_argument("--longest", type=float, default=0.3, help="seconds a picture may stand")
    parser.add_argument(
        "--settle", type=float, default=10.0, help="seconds for bandwidth estimates to grow, first"
    )
    parser.add_argument("--command", type=shlex.split, default=OUR_SERVER, help="another server")
    parser.add_argument("--codec", choices=["vp8", "h264", "vp9", "av1"])
    parser.add_argument("--simulcast", action="store_true")
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="what the server says")
    options = parser.parse_args()
    enter_near_side()
    verdict = Verdict("lossy_call")
    verdict.figure("loss", options.loss)
    with far_server(options.command, options.log) as (url, link):
        hold(options, url, link, verdict)
    verdict.figure("machine_load", os.getloadavg()[0])
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
