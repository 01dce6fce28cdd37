"""Coverage-guided fuzzing of all decoders: ``python -m tests.fuzz.long``.

Atheris (libFuzzer, with the code of `trio_sfu` instrumented) changes the seeds of each
decoder and keeps what takes a new path. Afterwards all that was kept is tried once
more, to see which of the decoder's own lines were reached (`tests.fuzz.lines`).

The run fails, with exit status 1, on

* an escape: anything raised but what the decoder may refuse with;
* a hang: an input that takes more than `HANG` seconds of processor time;
* a blow-up: an input for which memory grows by more than `GROWTH`;
* less than 95 % of a decoder's lines.

What failed is put into the folder `regressions`, from where the fast suite tries it ever
after. It needs the extra "fuzz": ``pip install -e '.[fuzz,test]'``.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

INPUTS: Final = 10_000_000
FEWEST: Final = 1_000
"""Of any decoder, in a short run too."""
HANG: Final = 1.0
"""Seconds of processor time for one input: the machine may be busy with others."""
DEADLOCK: Final = 120
"""Seconds after which libFuzzer ends what does not even hear of the hang."""
GROWTH: Final = 64 << 20
"""Bytes by which one input may raise the memory of the process."""
MEMORY: Final = 2048
"""MiB that one decoder's process may have in all, after however many inputs."""
SAY_EVERY: Final = 10.0
TELL_EVERY: Final = 1.0
"""Seconds between two words on how far it is, to the reader and between processes."""
LONGEST: Final = 16_384
"""Bytes of an input; half of it more than the longest seed where that is less."""


class Hang(BaseException):
    """One input takes too long. Not an `Exception`, so that nobody catches it."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.long", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="for all decoders together")
    parser.add_argument("--decoder", action="append", metavar="NAME", help="only this one")
    parser.add_argument("--jobs", type=int, default=2, help="processes at one time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to put the figures")
    parser.add_argument("--folder", type=Path, help="where to keep what was found, for a next run")
    parser.add_argument("--keep", action="store_true", help="renew tests/fuzz/corpus with it")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work is not None:
        work(json.loads(options.work))
        return 0
    from tests.fuzz.decoders import DECODERS

    names = options.decoder or list(DECODERS)
    if unknown := sorted(set(names) - set(DECODERS)):
        parser.error(f"no decoder {unknown[0]!r}; there are: {', '.join(DECODERS)}")
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        plan = shares({name: DECODERS[name].share for name in names}, options.inputs)
        results = supervise(plan, folder, options.jobs)
        figures = report(results, folder, options.keep)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["passed"] else 1


def shares(weights: Mapping[str, float], inputs: int) -> dict[str, int]:
    """How many inputs each decoder gets; together at least *inputs*."""
    whole = sum(weights.values())
    return {name: max(FEWEST, -int(-inputs * part // whole)) for name, part in weights.items()}


# --- the one process that watches


def supervise(plan: Mapping[str, int], folder: Path, jobs: int) -> dict[str, dict[str, Any]]:
    """Let others do the work, say how far they are, and gather what they found."""
    order = {"plan": plan, "folder": str(folder), "jobs": jobs}
    log = folder / "worker.log"
    with open(log, "w") as errors:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.long", "--work", json.dumps(order)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert worker.stdout is not None
    results: dict[str, dict[str, Any]] = {}
    started = said = time.monotonic()
    wanted = sum(plan.values())
    with worker:
        for line in worker.stdout:
            try:
                news = json.loads(line)
            except ValueError:  # somebody else's word
                continue
            results.setdefault(news["name"], {}).update(news)
            now = time.monotonic()
            if now - said >= SAY_EVERY:
                said = now
                done = sum(each["inputs"] for each in results.values())
                going = [name for name, each in results.items() if not each.get("over")]
                over = len(results) - len(going)
                print(
                    f"{done:>12,} of {wanted:,} inputs, {done / (now - started):,.0f} a second; "
                    f"{over} of {len(plan)} decoders done; now {', '.join(going)}",
                    flush=True,
                )
    if worker.returncode:
        sys.exit(f"the working process failed:\n{log.read_text()[-2000:]}")
    return results


def report(results: Mapping[str, Mapping[str, Any]], folder: Path, renew: bool) -> dict[str, Any]:
    """Measure what was reached, print the table, and return all figures."""
    from tests.fuzz import corpus
    from tests.fuzz.decoder import folder as file_name
    from tests.fuzz.decoders import DECODERS
    from tests.fuzz.lines import ENOUGH, measure, telling

    quiet()
    table = {name: DECODERS[name] for name in results}
    inputs = {}
    for name, decoder in table.items():
        found = [path.read_bytes() for path in (folder / file_name(name)).glob("*")]
        inputs[name] = [*decoder.seeds, *corpus.kept(name), *sorted([b"", *found], key=_by_size)]
    print(f"trying {sum(map(len, inputs.values())):,} inputs again, to see what they reach")
    reached = measure(table, inputs, _regardless)
    if renew:
        for name, decoder in table.items():
            told = telling(decoder, inputs[name], _regardless)
            corpus.keep(name, [data for data in told if data not in decoder.seeds])
    figures: dict[str, Any] = {}
    print(f"{'decoder':<60}{'inputs':>11}{'a second':>10}{'lines':>7}{'reached':>9}  escapes")
    for name, result in results.items():
        part, escapes = reached[name].part, result.get("escapes", [])
        died = result.get("died")
        missed = part < ENOUGH or bool(escapes) or died is not None
        rate = result["inputs"] / max(result.get("seconds", 0), 1e-3)
        print(
            f"{name:<60}{result['inputs']:>11,}{rate:>10,.0f}{reached[name].lines:>7}"
            f"{part:>9.1%}  {len(escapes) + (died is not None)}" + ("  <--" if missed else "")
        )
        for escape in escapes:
            print(f"    {escape['what']}: {escape['file']}")
        if died is not None:
            print(f"    its process died: {died}")
        if part < ENOUGH:
            print(f"    not reached: {', '.join(reached[name].missing)}")
        figures[name] = {
            "inputs": result["inputs"],
            "seconds": result.get("seconds"),
            "lines": reached[name].lines,
            "reached": round(part, 4),
            "missing": reached[name].missing,
            "escapes": escapes,
            "died": died,
            "slowest": result.get("slowest"),
            "passed": not missed,
        }
    total = sum(each["inputs"] for each in figures.values())
    passed = all(each["passed"] for each in figures.values())
    lines = sum(each.lines for each in reached.values())
    missing = sum(len(each.missing) for each in reached.values())
    escapes = sum(len(each["escapes"]) + (each["died"] is not None) for each in figures.values())
    least = min(each.part for each in reached.values())
    print(
        f"{total:,} inputs for {len(figures)} decoders; {escapes} escapes; "
        f"{1 - missing / max(lines, 1):.1%} of {lines} lines reached, at least {least:.1%} of each"
    )
    return {
        "passed": passed,
        "inputs": total,
        "escapes": escapes,
        "least_reached": round(least, 4),
        "python": platform.python_version(),
        "decoders": figures,
    }


def _regardless(decoder: Any, data: bytes) -> None:
    """What escapes was noted when it did."""
    with contextlib.suppress(Exception):
        decoder.decode(data)


def _by_size(data: bytes) -> tuple[int, bytes]:
    return len(data), data


def quiet() -> None:
    """What sessions log of hostile clients is of no interest here, and much."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


# --- the processes that work


def work(order: Mapping[str, Any]) -> None:
    """Import all once, instrumented, then fork a process for each decoder."""
    import atheris

    with atheris.instrument_imports(include=["trio_sfu"], enable_loader_override=False):
        from tests.fuzz.decoders import DECODERS  # noqa: F401  for those that are forked
    quiet()
    waiting = list(order["plan"].items())
    running: dict[int, str] = {}
    while waiting or running:
        while waiting and len(running) < order["jobs"]:
            name, inputs = waiting.pop(0)
            child = os.fork()
            if child == 0:
                fuzz(name, inputs, Path(order["folder"]))
                os._exit(0)  # not reached: libFuzzer ends the process
            running[child] = name
        child, status = os.wait()
        name = running.pop(child)
        if code := os.waitstatus_to_exitcode(status):
            tell(name=name, died=code)
        tell(name=name, over=True)


def tell(**news: object) -> None:
    """One short line, so that those of several processes do not mix."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def fuzz(name: str, inputs: int, folder: Path) -> None:
    """Be the process of one decoder."""
    import atheris

    from tests.fuzz import corpus
    from tests.fuzz.decoder import folder as file_name
    from tests.fuzz.decoders import DECODERS

    decoder = DECODERS[name]
    found, seeds = folder / file_name(name), folder / f"{file_name(name)}.seeds"
    for path in (found, seeds):
        path.mkdir(exist_ok=True)
    known = (*decoder.seeds, *corpus.kept(name), *corpus.failed(name))
    for number, data in enumerate(known):
        (seeds / f"{number}").write_bytes(data)
    watch = Watch(name, inputs, decoder.refusals, corpus.REGRESSIONS)
    for data in known:  # what is made once, and kept, is made now
        with contextlib.suppress(Exception):
            decoder.decode(data)
    longest = max(map(len, known), default=0)

    def one(data: bytes) -> None:
        with watch.input(data):
            decoder.decode(data)

    with open(folder / f"{file_name(name)}.log", "wb") as log:
        os.dup2(log.fileno(), 2)
    atheris.Setup(
        [
            "tests.fuzz.long",
            f"-runs={2 * inputs}",  # it is ended before, by `Watch`, which counts itself
            f"-max_len={min(LONGEST, max(256, longest * 3 // 2))}",
            f"-timeout={DEADLOCK}",
            f"-rss_limit_mb={MEMORY}",
            f"-artifact_prefix={folder / file_name(name)}.",
            "-print_final_stats=0",
            str(found),
            str(seeds),
        ],
        one,
    )
    atheris.Fuzz()


class Watch:
    """Counts one decoder's inputs, and notes those for which it did what it may not."""

    def __init__(
        self,
        name: str,
        inputs: int,
        refusals: tuple[type[Exception], ...],
        failures: Path,
        hang: float = HANG,
    ) -> None:
        """What failed is put into the folder *failures*."""
        self._hang = hang
        self._name, self._wanted, self._refusals = name, inputs, refusals
        self._failures = failures
        self._inputs = 0
        self._slowest = 0.0
        self._escapes: dict[str, dict[str, str]] = {}
        self._started = self._told = time.monotonic()
        signal.signal(signal.SIGPROF, _hang)

    @property
    def escapes(self) -> list[dict[str, str]]:
        return list(self._escapes.values())

    @contextlib.contextmanager
    def input(self, data: bytes) -> Iterator[None]:
        before = resource.getrusage(resource.RUSAGE_SELF)
        signal.setitimer(signal.ITIMER_PROF, self._hang)
        try:
            yield
        except self._refusals:
            pass
        except (Exception, Hang) as error:
            self._note(data, error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        after = resource.getrusage(resource.RUSAGE_SELF)
        self._slowest = max(self._slowest, _seconds(after) - _seconds(before))
        if (after.ru_maxrss - before.ru_maxrss) * 1024 > GROWTH:
            self._note(data, MemoryError("memory grew"))
        self._count()

    def _count(self) -> None:
        self._inputs += 1
        now = time.monotonic()
        over = self._inputs >= self._wanted
        if over or now - self._told >= TELL_EVERY:
            self._told = now
            tell(
                name=self._name,
                inputs=self._inputs,
                seconds=round(now - self._started, 2),
                slowest=round(self._slowest, 3),
                escapes=self.escapes,
            )
        if over:
            os._exit(0)

    def _note(self, data: bytes, error: BaseException) -> None:
        """The first input for each place at which something goes wrong."""
        from tests.fuzz.decoder import folder as file_name

        where = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in where if "trio_sfu" in frame.filename] or list(where)
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        what = f"{type(error).__name__} at {place}: {str(error)[:200]}"
        key = f"{type(error).__name__} {place}"
        if key not in self._escapes:
            path = self._failures / file_name(self._name) / hashlib.sha1(data).hexdigest()[:16]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self._escapes[key] = {"what": what, "file": str(path)}


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _hang(*_: object) -> None:
    raise Hang("too much processor time")


if __name__ == "__main__":
    sys.exit(main())
