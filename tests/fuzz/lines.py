"""Which lines are a decoder's, and which of them were reached.

Of the modules that a decoder names (`Decoder.reads`) those lines count that can run
while something is read: the statements, as coverage.py counts them, in the bodies of
functions. Not counted are

* what runs at import: `def` lines, class bodies, tables, decorators;
* functions that write: whose name, or that of what they are in, begins with "encode"
  or "_encode", and `__str__` and `__repr__`; a decoder may name one all the same;
* what the table takes out by name, with a minus sign, because something else calls it.

A class or function that is named stands for all that is in it.
"""

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import CodeType, FrameType
from typing import Any, Final

import attrs
import coverage

from tests.fuzz.decoder import Decoder

PACKAGE: Final = "trio_sfu."
WRITING: Final = re.compile(r"(^|\.)(_?encode|__str__$|__repr__$)")

ENOUGH: Final = 0.95
"""Of each decoder's lines."""


@attrs.frozen
class Reached:
    """What of one decoder's lines inputs have reached."""

    lines: int
    missing: tuple[str, ...]
    """"ice/stun.py:123"."""

    @property
    def part(self) -> float:
        return 1 - len(self.missing) / self.lines if self.lines else 1.0


def file_of(module: str) -> str:
    found = importlib.util.find_spec(PACKAGE + module)
    assert found is not None and found.origin is not None, module
    return found.origin


@cache
def functions(module: str) -> Mapping[str, frozenset[int]]:
    """The lines of the body of each function of a module, nested ones apart."""
    path = file_of(module)
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    return {name: frozenset(lines) for name, lines in _functions(code)}


def _functions(code: CodeType) -> Iterator[tuple[str, set[int]]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & inspect.CO_OPTIMIZED and not inner.co_name.startswith("<"):
                yield inner.co_qualname.replace(".<locals>", ""), _body(inner)
            yield from _functions(inner)


def _body(code: CodeType) -> set[int]:
    """With its comprehensions and lambdas, without its own first line."""
    lines = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
    for inner in code.co_consts:
        if isinstance(inner, CodeType) and inner.co_name.startswith("<"):
            lines |= _body(inner)
    return lines


def scope(reads: Iterable[str]) -> dict[str, set[int]]:
    """The lines that a decoder's `reads` stand for, by module."""
    found: dict[str, set[int]] = {}
    for item in (each for each in reads if not each.startswith("-")):
        module, _, name = item.partition(":")
        for function, lines in functions(module).items():
            inside = not name or function == name or function.startswith(name + ".")
            writes = WRITING.search(function.removeprefix(name) if name else function)
            if inside and not writes:
                found.setdefault(module, set()).update(lines)
    for item in (each[1:] for each in reads if each.startswith("-")):
        module, _, name = item.partition(":")
        assert name in functions(module), f"{item} is no function"
        found[module] -= functions(module)[name]
    return found


def measure(
    table: Mapping[str, Decoder],
    inputs: Mapping[str, Iterable[bytes]],
    attempt: Callable[[Decoder, bytes], None],
) -> dict[str, Reached]:
    """Try all *inputs* of each decoder in *table*, and see which of its lines they reach."""
    scopes = {name: scope(decoder.reads) for name, decoder in table.items()}
    modules = sorted({module for found in scopes.values() for module in found})
    files = {module: file_of(module) for module in modules}
    meter = coverage.Coverage(data_file=None, config_file=False, include=list(files.values()))
    meter.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured"])
    meter.start()
    try:
        for name, decoder in table.items():
            meter.switch_context(name)
            for data in inputs[name]:
                attempt(decoder, data)
    finally:
        meter.stop()
    statements = {module: set(meter.analysis2(path)[1]) for module, path in files.items()}
    data = meter.get_data()
    result = {}
    for name, found in scopes.items():
        data.set_query_context(name)
        count, missing = 0, []
        for module, lines in found.items():
            wanted = lines & statements[module]
            left = wanted - set(data.lines(files[module]) or ())
            count += len(wanted)
            missing += [f"{module.replace('.', '/')}.py:{line}" for line in sorted(left)]
        result[name] = Reached(count, tuple(missing))
    return result


def telling(
    decoder: Decoder, inputs: Iterable[bytes], attempt: Callable[[Decoder, bytes], None]
) -> list[bytes]:
    """Those of *inputs* that reach a line of the decoder's which none before them reached."""
    wanted = {file_of(module): lines for module, lines in scope(decoder.reads).items()}
    fresh = False

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        left = wanted.get(frame.f_code.co_filename)
        if left is None:
            return None

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal fresh
            if event == "line" and frame.f_lineno in left:
                left.discard(frame.f_lineno)
                fresh = True
            return line

        return line

    kept = []
    for data in inputs:
        fresh = False
        sys.settrace(trace)
        try:
            attempt(decoder, data)
        finally:
            sys.settrace(None)
        if fresh:
            kept.append(data)
    return kept
