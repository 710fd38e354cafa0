"""Refuse values that no configuration can have, before any key is read.

A configuration has text, numbers, true or false, lists and mappings. YAML can hold more: dates, sets, bytes, infinity,
the same key twice, references that expand to billions of values. Each of these is refused in one sentence.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infoplane.errors import UserError, printable

LABEL = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LONGEST_LABEL = 100
"""Characters; a label names files and folders, which may have 255, and temporary files have longer names."""
LONGEST_PATH = 1000
LONGEST_NAME = 200
"""Bytes of a path, and of one folder in it."""

DEEPEST = 20
"""Lists and mappings in one another."""
LARGEST = 50_000
"""Characters of all keys and values: jobs are handed them with all defaults on a command line, which Linux limits to
131,072 bytes."""
LARGEST_NUMBER = 2**63 - 1
"""What files can hold."""
LARGEST_SEED = 2**32 - 1
"""Generators are also seeded with a multiple of it, which has to fit 64 bits."""

SHOWN = 60
LONGEST_MESSAGE = 800
"""Characters of a value in a message, and of a message."""


def shown(value: Any) -> str:
    """A value in a message, on one line and not too long."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_NUMBER:
        return f"a number of about {math.floor(math.log10(2) * value.bit_length()) + 1} digits"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def one_line(message: str) -> str:
    """Write a message on one line, printable and not too long, whatever values it names."""
    text = printable(" ".join(message.split()))
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."


def require_plain(values: Mapping[str, Any]) -> None:
    """Raise `UserError` unless these are plain values, not too many and not too deep, with text for keys."""
    size, todo = 0, [("", values, 0)]
    while todo:
        where, value, depth = todo.pop()
        if depth > DEEPEST:
            raise UserError(f"{where.split('.')[0]}: more than {DEEPEST} lists and mappings in one another.")
        inner: Iterator[tuple[Any, Any]] = iter(())
        if isinstance(value, Mapping):
            inner = iter(value.items())
        elif isinstance(value, list):
            inner = ((index, one) for index, one in enumerate(value))
        elif problem := _problem(value):
            raise UserError(f"{where}: {problem}.")
        else:
            size += len(str(value))
        for key, one in inner:
            if isinstance(value, Mapping):
                _require_key(where, key)
            size += 1 + (len(key) if isinstance(key, str) else 0)
            todo.append((_under(where, key), one, depth + 1))
        if size > LARGEST:
            raise UserError(
                f"{where}: with this there are more than {LARGEST:,} characters of keys and values, too many for "
                "a job's command line: shorten lists and sentences."
            )


def _under(where: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if where else str(key)


def _require_key(where: str, key: Any) -> None:
    above = where or "the top level"
    if not isinstance(key, str):
        hint = " (YAML reads yes, no, on and off as true and false)" if isinstance(key, bool) else ""
        name = "null" if key is None else shown(key)
        raise UserError(f"{above}: the key {name} is not text{hint}: put it in quotes.")
    if not key.isprintable() or len(key) > 2 * LONGEST_LABEL:
        raise UserError(
            f"{above}: the key {shown(key)} must have at most {2 * LONGEST_LABEL} characters, all of them printable."
        )


def _problem(value: Any) -> str:
    """Say what is wrong with a single value, whatever key it stands under; empty where nothing is."""
    if isinstance(value, int):
        fits = abs(value) <= LARGEST_NUMBER
        return "" if fits else f"expected a number of at most 19 digits, up to {LARGEST_NUMBER}, got {shown(value)}"
    if isinstance(value, str):
        odd = next((letter for letter in value if letter not in "\n\t" and _unprintable(letter)), "")
        return f"the character {odd!a} cannot stand in a text" if odd else ""
    if value is None or isinstance(value, float):
        return ""
    return f"expected text, a number, true or false, a list or a mapping, got {type(value).__name__} {shown(value)}"


def _unprintable(letter: str) -> bool:
    """Control characters and halves of a pair, which no file name or command line can hold."""
    return letter < " " or "\x7f" <= letter < "\xa0" or "\ud800" <= letter <= "\udfff"


def require_label(label: str, where: str) -> None:
    """Raise `UserError` for a label that would make no good file name."""
    if not re.fullmatch(LABEL.strip("^$"), label):
        raise UserError(f"{where}: a label holds letters, digits, '_', '.' and '-' only, got {shown(label)}")
    if len(label) > LONGEST_LABEL:
        raise UserError(f"{where}: a label has at most {LONGEST_LABEL} characters, got {len(label)}")


def folder(value: str) -> str:
    """A folder's path as the workflow uses it, ``~`` replaced; raises ``ValueError`` where it could not be one.

    Snakemake takes braces in a path for wildcards, and puts paths into the page of its report as they are.
    """
    if not value.strip("/ "):
        raise ValueError(f"name a folder, got {value!r}")
    try:
        path = str(Path(value).expanduser())
    except RuntimeError:
        raise ValueError(f"the home folder in {shown(value)} is not known: write the path in full") from None
    if odd := next((letter for letter in "{}<>\n\t" if letter in path), ""):
        raise ValueError(f"{odd!r} cannot stand in the path of a folder, got {shown(value)}")
    names = [len(os.fsencode(name)) for name in path.split("/")]
    if max(names) > LONGEST_NAME or sum(names) > LONGEST_PATH:
        raise ValueError(f"a path has at most {LONGEST_PATH} bytes, each name in it {LONGEST_NAME}, got {shown(value)}")
    return path


def check_file(path: Path) -> None:
    """Raise `UserError` for a key that is twice in a mapping of a YAML or JSON file: the first would be lost.

    What is neither is left to Snakemake, which reads the file itself.
    """
    text = path.read_text(encoding="utf-8")
    try:
        json.loads(text, object_pairs_hook=lambda pairs: _single([(key, 0) for key, _ in pairs], path))
    except (json.JSONDecodeError, RecursionError):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            _check_events(yaml.parse(text, Loader=loader), path)
        except yaml.YAMLError:
            return


def _check_events(events: Iterator[yaml.Event], path: Path) -> None:
    """Gather the keys of every open mapping, with their lines; None stands for an open list."""
    opened: list[list[tuple[Any, int]] | None] = []
    for event in events:
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            _single((opened.pop() or [])[::2], path)
        elif isinstance(event, yaml.NodeEvent):
            if opened and opened[-1] is not None:  # keys and values in turn; what is no text is like nothing else
                name = event.value if isinstance(event, yaml.ScalarEvent) else object()
                opened[-1].append((name, event.start_mark.line + 1 if event.start_mark else 0))
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append([] if isinstance(event, yaml.MappingStartEvent) else None)


def _single(keys: list[tuple[Any, int]], path: Path) -> dict[Any, int]:
    lines: dict[Any, int] = {}
    for key, line in keys:
        if key in lines and key != "<<":  # YAML merges as many mappings as there are
            where = f"lines {lines[key]} and {line}" if line else "the same mapping"
            raise UserError(
                f"{path}: the key {shown(key)} is there twice, in {where}: keep one of them, or the first is lost."
            )
        lines[key] = line
    return lines
