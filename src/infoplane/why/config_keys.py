"""From the parameters of a job, then and now, to the keys of the configuration that differ."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infoplane.config.demand import of_one_run
from infoplane.config.plan import Plan

CODE = "code "
"""How the parameter begins that is a digest of source files."""

CONTENT = "the user's own files: "
"""How the parameter begins that says what they hold."""

ABSENT = object()
NUMBERS = {"charts": "figures.width", "animation": "animation.seconds"}
"""Rule -> the key behind its one parameter that is a plain number."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A key of the configuration, with its value then and now; None for what is not said or did not exist."""

    key: str
    before: Any = None
    now: Any = None

    def __str__(self) -> str:
        """Such as ``training.steps: 480 → 960``."""
        if self.before is None and self.now is None:
            return self.key
        return f"{self.key}: {_word(self.before)} → {_word(self.now)}"


def _word(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def code_digest(params: Sequence[str]) -> str | None:
    """The digest of the source files among a job's parameters."""
    found = [value for value in map(_value, params) if isinstance(value, str) and value.startswith(CODE)]
    return found[0].removeprefix(CODE) if found else None


def changes(
    rule: str, wildcards: Mapping[str, str], before: Sequence[str], now: Sequence[str], plan: Plan
) -> list[Change]:
    """What differs between the parameters of a job then and now (each as its ``repr``), by key; code is left out.

    Parameters have no names in Snakemake's record: JSON objects are paired by the keys that they share.
    """
    olds, news = ([v for v in map(_value, params) if not _is_code(v)] for params in (before, now))
    found: list[Change] = []
    objects = [value for value in news if isinstance(value, dict)]
    for old in (value for value in olds if isinstance(value, dict)):
        if not objects:
            break
        new = max(objects, key=lambda other: len(other.keys() & old.keys()))
        objects.remove(new)
        for path, then, value in _differences(old, new):
            found.append(Change(_key(rule, path, wildcards, plan), then, value))
        if old == new:
            found.append(Change("the order of the configuration's keys"))
    lone = [[value for value in values if not isinstance(value, dict)] for values in (olds, news)]
    for then, value in zip(*lone, strict=False):
        if isinstance(value, str) and value.startswith(CONTENT):
            held, holds = (one.removeprefix(CONTENT) for one in (str(then), value))
            found.append(Change("the files of data.path", held, holds))
        elif isinstance(value, float | int):
            found.append(Change(NUMBERS.get(rule, "a parameter"), then, value))
        elif rule == "charts":
            found.append(Change(f"charts.{wildcards.get('chart')}.kind", then, value))
        else:
            found.append(Change("which results exist" if isinstance(value, list) else "a parameter", None, None))
    unique = {str(change): change for change in found}
    # A list of labels says less than what became of each of them.
    told = [change for change in unique.values() if not any(other.key.startswith(f"{change.key}.") for other in found)]
    return sorted(told, key=str)


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(CODE)


def _value(text: str) -> Any:
    """What a parameter's ``repr`` stands for; JSON, where it is a string of JSON."""
    value = ast.literal_eval(text)
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _differences(before: Any, now: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """The leaves that differ: where, and both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            then, value = before.get(key, ABSENT), now.get(key, ABSENT)
            if then is ABSENT or value is ABSENT:
                yield (*path, key), None if then is ABSENT else then, None if value is ABSENT else value
            else:
                yield from _differences(then, value, (*path, key))
    elif before != now:
        yield path, before, now


def _key(rule: str, path: Path, wildcards: Mapping[str, str], plan: Plan) -> str:
    """The configuration's key behind a place in a spec."""
    head, rest = path[0], [part for part in path[1:] if part != "options"]
    rule = of_one_run(rule)
    if rule == "train":
        architecture = wildcards["architecture"]
        if head == "architecture":
            return ".".join(["architectures", architecture, *rest])
        if head == "shortcut":
            return ".".join(["shortcuts", wildcards["shortcut"], *rest])
        if head == "task":
            return ".".join(["task", *rest])
        own = (plan.config.architectures[architecture] or {}).get("training") or {}
        if head == "training" and rest and rest[0] in own:
            return ".".join(["architectures", architecture, *path])
        return "seeds" if head in ("seed", "seeds") else ".".join(path)
    if rule in ("measures", "truths") and head == "family":
        return ".".join(["measures", wildcards["family"], *rest])
    if rule == "measures":
        return ".".join(path)
    if rule == "data":
        return ".".join(["data", *rest]) if head == "source" else f"data.{'split_seed' if head == 'seed' else head}"
    if rule == "charts":
        return ".".join(["charts", wildcards["chart"], *path])
    if rule == "reconstructions" and head == "decoder":
        return ".".join(["measures", "kernel", *rest])
    if rule == "report":
        return ".".join(path)
    if rule == "tables":
        return ".".join(["measures" if head == "families" else head, *path[1:]])
    sections = {"verdicts": "claims", "truths": "accuracy", "animation": "charts.information_plane"}
    return ".".join([sections.get(rule, rule), *path])
