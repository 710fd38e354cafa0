"""Drawn arrays and tables, measured in a process of their own: what hangs there can be killed.

A description is JSON: the test draws it, and the process makes the arrays from it. Run as a program, this file reads
descriptions from its input, one a line, and answers each with one line: an outcome, or a traceback.
"""

import contextlib
import json
import math
import select
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures.standalone import measure, measure_file

SECONDS, WAIT = 10, 120
"""What one measurement may take of the processor, and in all, on a machine that does much else; imports apart."""

CHEAP: dict[str, dict[str, Any]] = {
    "anatomy": {"folds": 2, "scales": []},
    "kernel": {"extrapolate": False},
    "local": {"trees": 4, "leaves": [5], "folds": 2},
    "neighbours": {"calibrate": False},
    "neural": {"epochs": 2, "folds": 2, "repeats": 1, "width": 4, "linear": False},
    "variational": {"steps": 25},
}
IN_FILES = [name for name in registry.names("measure") if "checkpoints" not in registry.reads("measure", name)]
OF_ARRAYS = [name for name in IN_FILES if hasattr(registry.load("measure", name), "estimate")]

VALUES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Any]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "few": lambda rng, shape: rng.integers(0, 3, shape),
    "signed": lambda rng, shape: rng.integers(-2, 3, shape) * 1.0,
    "classes": lambda rng, shape: np.arange(int(np.prod(shape))).reshape(shape) % 4,
    "ids": lambda rng, shape: 2**40 + np.arange(int(np.prod(shape))).reshape(shape),
    "constant": lambda rng, shape: np.full(shape, 0.1),
    "zero": lambda rng, shape: np.zeros(shape),
    "heavy": lambda rng, shape: rng.standard_cauchy(shape) ** 3,
    "steep": lambda rng, shape: 10.0 ** rng.integers(-12, 12, shape),
    "one outlier": lambda rng, shape: np.where(
        np.arange(int(np.prod(shape))).reshape(shape) == 1, 1e9, rng.normal(size=shape)
    ),
    "repeated rows": lambda rng, shape: np.repeat(rng.normal(size=(shape[0] // 3 + 1, *shape[1:])), 3, 0)[: shape[0]],
    "offset": lambda rng, shape: 1e9 + rng.normal(size=shape),
    "large": lambda rng, shape: rng.normal(size=shape) * 1e30,
    "small": lambda rng, shape: rng.normal(size=shape) * 1e-30,
    "huge": lambda rng, shape: rng.normal(size=shape) * 1e200,
    "tiny": lambda rng, shape: rng.normal(size=shape) * 1e-200,
    "a NaN": lambda rng, shape: np.where(rng.random(shape) < 0.05, np.nan, rng.normal(size=shape)),
    "an infinity": lambda rng, shape: np.where(rng.random(shape) < 0.05, np.inf, rng.normal(size=shape)),
    "words": lambda rng, shape: np.array(["a", "b", "ä"])[rng.integers(0, 3, shape)],
    "truth": lambda rng, shape: rng.random(shape) < 0.5,
    "one-hot": lambda rng, shape: np.eye(3)[rng.integers(0, 3, shape[:1])],
}

FORMS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda a: a,
    "tensor": lambda a: torch.tensor(a),
    "graph": lambda a: torch.tensor(a, dtype=torch.float32, requires_grad=True) * 1.0,
    "bfloat16": lambda a: torch.tensor(a).to(torch.bfloat16),
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "big-endian": lambda a: a.astype(">f8"),
    "uint16": lambda a: a.astype(np.uint16),
    "uint32": lambda a: a.astype(np.uint32),
    "uint64": lambda a: a.astype(np.uint64),
    "negative strides": lambda a: a[::-1],
    "transposed": lambda a: a.T,
    "objects": lambda a: a.astype(object),
    "lists": lambda a: a.tolist(),
    "masked": lambda a: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) == 0),
    "unmasked": lambda a: np.ma.masked_array(a),
    "complex": lambda a: a.astype(complex),
    "dates": lambda a: a.astype(np.int64).astype("datetime64[s]"),
    "no features": lambda a: np.zeros((len(a), 0)),
    "one number": lambda a: a.ravel()[:1].sum(),
    "nothing": lambda a: None,
}


def made(described: dict[str, Any], n: int) -> Any:
    """The array that a description asks for; what cannot be made that way is a plain array."""
    shape = (n, *described["shape"])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = VALUES[described["values"]](np.random.default_rng(described["seed"]), shape)
        try:
            return FORMS[described["form"]](values)
        except (TypeError, ValueError, IndexError):
            return values


def of_arrays(described: dict[str, Any]) -> list[dict[str, Any]]:
    """What a family measures of drawn arrays."""
    given = {name: made(described[name], described["n"]) for name in ("z", "x", "y", "group") if described[name]}
    family, z = described["family"], given.pop("z", None)
    more = {"amounts": described["amounts"], **CHEAP.get(family, {})}
    return [vars(one) for one in measure(z, family=family, **given, **more)]


def of_a_file(described: dict[str, Any]) -> list[dict[str, Any]]:
    """What a family measures of drawn tables."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in ("activations", "held_out"):
            paths.append(Path(folder, f"{name}.parquet"))
            columns = {column: cells(one, described["n"]) for column, one in described[name].items()}
            rows = min(len(column) for column in columns.values())
            pq.write_table(pa.table({column: some[:rows] for column, some in columns.items()}), paths[-1])
        family = described["family"]
        options = {family: CHEAP.get(family, {})}
        more = {"x": described["x"], "y": described["y"], "amounts": described["amounts"]}
        return measure_file(*paths, options, Path(folder, "m.parquet"), **more)


def cells(described: dict[str, Any], n: int) -> pa.Array:
    """A column: places in an order, or values of a shape, some of them missing or ragged."""
    if "places" in described:
        places = np.random.default_rng(0).permutation(n) if described["places"] == "shuffled" else np.arange(n)
        places = places // 2 if described["places"] == "doubled" else places
        return pa.array(places.astype(described["type"]))
    if "step" in described:
        return pa.array(np.arange(n) % described["step"])
    values = made(described | {"form": "as it is"}, n)
    rows = values.tolist()
    if described["form"] == "null" and rows:
        rows[-1] = None
    elif described["form"] == "ragged" and rows and isinstance(rows[-1], list):
        rows[-1] = rows[-1][:-1]
    elif described["form"] == "inner null" and rows and isinstance(rows[-1], list) and rows[-1]:
        rows[-1][0] = None
    return pa.array(rows)


def outcome(described: dict[str, Any]) -> str:
    """``value``, ``note`` or ``sentence``; anything else is a fault, and says which."""
    try:
        found = (of_a_file if "held_out" in described else of_arrays)(described)
    except UserError as error:
        message = str(error)
        return f"sentence: {message}" if message and "\n" not in message else f"no sentence: {message}"
    except Exception:
        return traceback.format_exc()
    for one in found:
        numbers = [one[name] for name in ("value", "stderr", "reference", "extrapolated", "calibration")]
        if not all(number is None or math.isfinite(number) for number in (*numbers, *(one["blocks"] or ()))):
            return f"not finite: {one}"
        if one["value"] is None and not one["note"]:
            return f"no value and no note: {one}"
    return "note" if any(one["note"] for one in found) else "value"


class Measurer:
    """The process that measures; started when it is needed, killed when it takes too long."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ask(self, described: dict[str, Any]) -> str:
        """The outcome of a description."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "ready\n"
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(described), file=self._process.stdin, flush=True)
        process = psutil.Process(self._process.pid)
        before, asked = process.cpu_times(), time.monotonic()
        while not select.select([self._process.stdout], [], [], min(1, SECONDS))[0]:
            used = process.cpu_times()
            if used.user + used.system - before.user - before.system >= SECONDS or time.monotonic() - asked >= WAIT:
                self.stop()
                return f"no answer in {SECONDS} s"
        answer = self._process.stdout.readline()
        if not answer:
            self.stop()
            return "the process died"
        return str(json.loads(answer))

    def stop(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def main() -> None:
    torch.set_num_threads(1)
    answers = sys.stdout
    plain = {"shape": [2], "values": "normal", "form": "as it is", "seed": 0}
    with contextlib.redirect_stdout(sys.stderr):
        for family in IN_FILES:  # what the first of each imports is not to count
            columns = {
                "activations": {"b.s": plain, "b.f": plain, "b.z": plain},
                "held_out": {"x": plain, "y": plain | {"shape": [], "values": "few"}},
            }
            assert outcome(columns | {"n": 20, "family": family, "x": "x", "y": "y", "amounts": False}) in (
                "value",
                "note",
            )
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            try:
                found = outcome(json.loads(line))
            except Exception:
                found = traceback.format_exc()
            print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
