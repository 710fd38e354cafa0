"""What is probably wrong with a table of one's own: a column by another name, a decimal comma, cells not separated."""

import re
from collections.abc import Sequence

from infoplane.errors import nearest

ALSO = {
    "run": ("network", "model", "net", "experiment", "method", "condition"),
    "step": ("epoch", "epochs", "iteration", "iterations", "iter", "globalstep", "update"),
    "site": ("layer", "layers", "block", "module", "node", "place"),
    "zx": ("nmse", "reconstructionerror"),
    "zy": ("crossentropy", "ce", "nll", "logloss"),
}
"""What others call a column, in small letters and without signs."""

COMMA = re.compile(r"[+-]?\d+,\d+")
THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
MORE_CELLS = "found more fields"
"""How Polars begins where a row has more cells than the header."""


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def missing(names: Sequence[str], others: Sequence[str], columns: Sequence[str]) -> str:
    """Say that columns are missing, and which of the ``others``, whose names are not known, they may be."""
    if len(columns) == 1 and " " in columns[0].strip():
        return f"has one column, '{columns[0]}': separate cells by commas, semicolons or tabs, not by blanks."
    likely = {name: there for name in names if (there := _likely(name, others))}
    if likely:
        renamed = listed([f"'{there}' to '{name}'" for name, there in likely.items()])
        absent = [f"'{name}'" for name in names if name not in likely]
        more = f"; add {listed(absent)}" if absent else ""
        held = "it holds" if len(likely) == 1 else "they hold"
        plural = "s" if len(names) > 1 else ""
        lacking = listed([f"'{name}'" for name in names])
        return f"has no column{plural} {lacking}: rename {renamed}, if that is what {held}{more}."
    close = nearest(names[0], others)
    found = close if close.startswith("did you mean") else f"found {', '.join(columns)}."
    return f"has no column '{names[0]}': {found}"


def _likely(name: str, others: Sequence[str]) -> str:
    """The column that is called alike but for signs and capitals, or by another word for the same; or empty."""
    for wanted in (name, *ALSO.get(name, ())):
        for other in others:
            if re.sub(r"[\W_]", "", other.lower()) == wanted:
                return other
    return ""


def cell(value: str | None, whole: bool) -> str:
    """Say how to write a number that is written in another way; empty where that is not what is wrong."""
    text = (value or "").strip()
    if whole and THOUSANDS.fullmatch(text):
        return f": write {text.replace(',', '')}, without a comma for thousands"
    if COMMA.fullmatch(text):
        return f": write {text.replace(',', '.')}, with a decimal point"
    if text.endswith("%"):
        return ": write it without a percent sign"
    return ""


def unreadable(reason: str) -> str:
    """The reason for which a file cannot be read as a table, with what to do about it where that is known."""
    if reason.startswith(MORE_CELLS):
        return "a row has more cells than the header; if numbers have a decimal comma, separate cells by semicolons"
    return reason
