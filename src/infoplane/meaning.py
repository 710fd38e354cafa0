"""What a Python file means: a digest that comments, line breaks, blanks and docstrings do not change.

The digest is taken of the parsed tree. It leaves out what stands in the source and does nothing: positions, bare texts
(docstrings among them), `pass`, and all that is empty, so that a new Python with a new empty field gives the same one.
Parsing takes longer than all the rest of a plan of few jobs, so what was found is kept where Python keeps its own
compiled files, and a file is parsed once for each content that it has.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from infoplane.errors import UserError
from infoplane.storage.atomic import write_text

DIGITS = 12
"""Hex digits of a digest: with a thousand versions of a file, two of them share one with odds of one in 500 million."""

KEPT = Path(__file__).parent / "__pycache__" / "meanings-1.json"
"""SHA-256 of a file's bytes -> what it means. The number is that of the way in which that is worked out."""

NOTHING = ""
"""The meaning of a file that only holds comments and docstrings, or nothing at all."""

EMPTY = 2
"""Pieces of text that a tree without a statement has."""

UNSAID = ("ctx", "kind", "type_comment", "type_ignores")
"""Fields that follow from the others (ctx), or that only type checkers read."""


def meanings(paths: Iterable[Path]) -> dict[Path, str]:
    """What each file means, in `DIGITS` hex digits; `NOTHING` where it does nothing.

    What is not Python, or cannot be parsed, goes by its bytes.
    """
    known, found, new = _kept(), {}, False
    for path in paths:
        content = path.read_bytes()
        sha = hashlib.sha256(content).hexdigest()
        if path.suffix == ".py" and sha not in known:
            known[sha], new = meaning(content), True
        found[path] = known[sha] if path.suffix == ".py" else sha[:DIGITS]
    if new and not sys.dont_write_bytecode:
        # It only saves time: where it cannot be written, the files are parsed again.
        with suppress(OSError, UserError):
            write_text(KEPT, json.dumps(known))
    return found


@cache
def _kept() -> dict[str, str]:
    try:
        return {str(sha): str(means) for sha, means in json.loads(KEPT.read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def meaning(source: bytes) -> str:
    """The same of one file's content, parsed now."""
    said: list[str] = []
    try:
        _say(ast.parse(source), said)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return hashlib.sha256(source).hexdigest()[:DIGITS]
    text = "".join(said).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:DIGITS] if len(said) > EMPTY else NOTHING


def _say(node: Any, said: list[str]) -> None:
    """Add a tree as pieces of text; equal trees are equal texts, whichever Python has parsed them."""
    if isinstance(node, ast.AST):
        said.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or name in UNSAID:
                continue
            if isinstance(value, list):
                value = [one for one in value if not _does_nothing(one)]
                if not value:
                    continue
                value = _joined(value) if isinstance(node, ast.JoinedStr) else value
            said.append(f"{name}=")
            _say(value, said)
        said.append(")")
    elif isinstance(node, list):
        said.append("[")
        for one in node:
            _say(one, said)
        said.append("]")
    else:
        said.append(f"{node!r},")


def _does_nothing(node: Any) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _joined(values: list[Any]) -> list[Any]:
    """The parts of a formatted text, neighbouring constants as one and no empty ones: Pythons differ in their cuts."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, ast.Constant) and found and isinstance(found[-1], ast.Constant):
            found[-1] = ast.Constant(str(found[-1].value) + str(value.value))
        elif not isinstance(value, ast.Constant) or value.value:
            found.append(value)
    return found
