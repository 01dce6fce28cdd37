"""A party in a Node process, driven from here: npm's `@livekit/rtc-node`."""

import json
import os
import subprocess
import sys
from typing import Any

from calls import HERE, node_clients


class NodeParty:
    """Answers the words of `conversation.py` with a line of JSON each; see `node_party.mjs`."""

    cannot = frozenset({"mute", "quality", "permission"})
    """rtc-node 1.1.0 has no function for these."""
    layered_size = (960, 540)

    def __init__(self, identity: str, frequency: float) -> None:
        self.identity = identity
        self.frequency = frequency
        node_clients()
        ours, theirs = os.pipe()
        # Node finds descriptor 3 only if it is given that number: the shell does so.
        script = f"exec node node_party.mjs {frequency:g} 3>&{theirs}"
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            pass_fds=[theirs],
            text=True,
        )
        os.close(theirs)
        self._answers = os.fdopen(ours)
        self._number = 0

    def ask(self, word: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None, "it was opened with a pipe"
        self._number += 1
        question = {"id": self._number, "word": word, "arguments": arguments}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"{self.identity}: Node ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("value")

    def close(self) -> None:
        assert self._process.stdin is not None, "it was opened with a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
