"""The load's process: takes an order as JSON, does it, and prints what came of it.

    python -m benchmarks.participants '{"url": "ws://127.0.0.1:7880", "do": "load", ...}'

It is a process of its own, so that the server's CPU is the server's alone. As it
knows best when the load begins, it also reads the server's CPU and memory.
"""

import gc
import json
import sys
import time
from functools import partial
from typing import Any

import trio

from benchmarks.processes import Usage, usage
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.client import load
from trio_sfu.config import DEV_KEY, DEV_SECRET
from trio_sfu.room.grants import Grants

SHAPES = {"video": load.VIDEO, "audio": load.AUDIO}


def token(room: str, identity: str) -> str:
    claims = Claims(identity=identity, grants=Grants(room_join=True, room=room))
    return sign(claims, DEV_KEY, DEV_SECRET, time.time())


def main(order: dict[str, Any]) -> dict[str, Any]:
    """What *order* says to do, and its figures in seconds, bytes and packets."""
    # Or the load's own collections would look like the server's latency.
    gc.disable()
    url, server = order["url"], order["server"]
    marks: dict[str, Usage] = {}

    def mark(name: str) -> None:
        marks[name] = usage(server)

    match order["do"]:
        case "load":
            wanted = load.Load(
                order["publishers"],
                order["subscribers"],
                tuple(SHAPES[name] for name in order["shapes"]),
                order["seconds"],
            )
            report = trio.run(load.run_load, url, token, wanted, mark)
            used = marks["counted"].cpu - marks["counting"].cpu
            memory = marks["counted"].memory - marks["published"].memory
            return {
                "void": report.void,
                "expected": report.expected,
                "received": report.received,
                "lost": report.lost,
                "server_cpu": used,
                "load_cpu": report.load_cpu,
                "seconds": report.seconds,
                "us_a_packet": 1e6 * used / max(1, report.received),
                "latency_p50": report.latency(0.50),
                "latency_p99": report.latency(0.99),
                "memory_a_subscriber": memory / max(1, order["subscribers"]),
            }
        case "joins":
            before, start = usage(server), time.monotonic()
            run = partial(load.run_joins, url, token, order["count"], order["in_a_room"])
            joins = sorted(trio.run(run, order["path"] == "/rtc/v1"))
            used, wall = usage(server).cpu - before.cpu, time.monotonic() - start
            return {
                "joins": len(joins),
                "joins_a_cpu_second": len(joins) / used,
                "ms_a_join": 1e3 * used / len(joins),
                "joins_a_second": len(joins) / wall,
                "median_seconds": joins[len(joins) // 2],
            }
        case "first packets":
            waited = sorted(trio.run(load.run_first_packets, url, token, order["times"]))
            return {"median": waited[len(waited) // 2], "longest": waited[-1]}
        case "visits":
            trio.run(load.run_visits, url, token, order["count"])
            time.sleep(order["settle"])
            return {"memory": usage(server).memory}
        case other:
            raise SystemExit(f"nothing is known of {other!r}")


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
