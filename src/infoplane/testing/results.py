"""Made-up results in the files that a real experiment leaves behind: curves of a known shape, no training."""

import math
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from infoplane.charts.frames import Tables
from infoplane.measures.estimate import BLOCKS
from infoplane.options import image
from infoplane.phases.analysis import Settings, analyse
from infoplane.storage.parquet import write_rows
from infoplane.tables import ACCURACY, HISTORY, MEASURES, ExpectedRun, collect
from infoplane.testing.histories import long

LABEL_ENTROPY = math.log(10)
VERSIONS = {"infoplane": "0.1.0", "torch": "9.8.7", "python": "3.11.7"}
START = {"identity": 0.12, "none": 0.60, "projection": 0.50}
DIP = {"identity": 0.02, "none": 0.12, "projection": 0.28}
SAMPLES = 400


def about(measure: str) -> str:
    """The column ``field`` of a measure."""
    return {"zx": "x", "ixz": "x", "zy": "y", "izy": "y"}.get(measure, "")


def steps(count: int, last: int = 640) -> list[int]:
    """Step 0, then log-spaced ones."""
    logs = {round(last ** (i / max(1, count - 2))) for i in range(count - 1)}
    return [0, *sorted(logs)][:count]


def sites(blocks: int) -> list[str]:
    return ["stem", *(f"block{i + 1}" for i in range(blocks)), "readout", "logits"]


def zx(shortcut: str, depth: float, time: float, seed: int) -> float:
    """Falls to a minimum at half of the log-time, then rises; deeper sites start higher. time, depth: in 0..1."""
    start, dip = START.get(shortcut, 0.4) * (0.3 + 0.7 * depth), DIP.get(shortcut, 0.1)
    fall = dip * depth * math.sin(math.pi * min(1.0, time))
    return max(0.001, start - fall + 0.12 * depth * time**2 + 0.03 * seed * depth)


def zy(depth: float, time: float, seed: int) -> float:
    return max(0.02, LABEL_ENTROPY * (0.95 - 0.25 * depth * 0.2 - (0.35 + 0.45 * depth) * time) + 0.02 * seed)


def blocks(value: float, seed: int, depth: int) -> list[float]:
    """The value on every part of the images: the same ups and downs at all checkpoints of a site, whose mean is 0."""
    ups = [math.sin(1 + 2.4 * part + seed + depth) for part in range(BLOCKS)]
    mean = sum(ups) / BLOCKS
    return [value * (1 + 0.1 * (up - mean)) for up in ups]


def measure_rows(run: dict[str, Any], family: str, at: list[int], names: list[str]) -> list[dict[str, Any]]:
    """One run's measures file, in the order of steps."""
    rows = []
    worse = 0.05 if family == "linear" else 0.0
    for step in at:
        time = math.log1p(step) / math.log1p(640)
        for depth, site in enumerate(names):
            share = depth / max(1, len(names) - 1)
            for measure in ("zx", "zy"):
                value = (
                    zx(run["shortcut"], share, time, run["seed"]) if measure == "zx" else zy(share, time, run["seed"])
                )
                rows.append(
                    run
                    | {
                        "step": step,
                        "epoch": step / 20,
                        "site": site,
                        "part": "z",
                        "depth": depth,
                        "measure": measure,
                        "field": about(measure),
                        "family": family,
                        "value": value + worse,
                        "unit": "nmse" if measure == "zx" else "nats",
                        "stderr": 0.01,
                        "reference": 1.0 if measure == "zx" else LABEL_ENTROPY,
                        "n": SAMPLES,
                        "d": 64,
                        "edge": "ridge:low" if site == "stem" and step == 0 else "",
                        "ridge": 1e-3,
                        "bandwidth": 1.0,
                        "folds": None,
                        "constant_features": 0,
                        "note": "",
                        "detail": "",
                        "blocks": blocks(value + worse, run["seed"], depth),
                        "extrapolated": None,
                        "calibration": None,
                    }
                )
    return rows


def gradient_rows(run: dict[str, Any], family: str, at: list[int], names: list[str]) -> list[dict[str, Any]]:
    """Gradients of every layer, whose mean falls faster than their deviation; drift ends at step 100."""
    layers = [*(f"{name}.0" for name in names if name != "readout"), "network"]
    rows = []
    for step in at:
        for depth, layer in enumerate(layers):
            mean, std = 3 / (1 + step / 50) / (1 + depth), 1 / (1 + depth)
            found = {"gradient_mean": mean, "gradient_std": std, "gradient_snr": mean / std, "weight_norm": 2.0}
            if layer == "network" and step == at[-1]:
                found["drift_to_diffusion_step"] = 100.0
            place = {"step": step, "epoch": step / 20, "site": layer, "part": "weight", "depth": depth}
            rows += [
                dict.fromkeys(MEASURES) | run | place | {"measure": measure, "family": family, "value": value}
                | {"field": "", "unit": "1", "n": SAMPLES, "d": 64, "edge": "", "note": "", "detail": ""}
                | {"constant_features": 0}
                for measure, value in found.items()
            ]  # fmt: skip
    return rows


def anatomy_rows(run: dict[str, Any], family: str, at: list[int], names: list[str]) -> list[dict[str, Any]]:
    """Shortcut and branch of every block: a branch that grows and never cancels; without a shortcut its Z-X alone."""
    rows = []
    for step in at:
        time = math.log1p(step) / math.log1p(640)
        for depth, site in enumerate(names):
            if not site.startswith("block"):
                continue
            share = depth / max(1, len(names) - 1)
            carried, told = (zx(run["shortcut"], level, time, run["seed"]) for level in (0.6 * share, share))
            ratio, slope = 0.2 + time, 0.1 * time
            total = 1 + ratio + 2 * slope
            found = {("f", "zx"): min(1.0, 2 * told)}
            if run["shortcut"] != "none":
                found |= {
                    ("s", "zx"): carried,
                    ("f", "regression_f_on_s"): slope,
                    ("f", "cosine"): slope / math.sqrt(ratio),
                    ("f", "branch_ratio"): math.sqrt(ratio),
                    ("z", "variance_share_s"): 1 / total,
                    ("z", "variance_share_f"): ratio / total,
                    ("z", "variance_share_cross"): 2 * slope / total,
                    ("z", "zx_intact"): told + 0.02,
                    ("z", "zx_branch_x0_refitted"): carried + 0.02,
                    ("z", "zx_without_antiparallel_refitted"): told + 0.02,
                }
            place = {"step": step, "epoch": step / 20, "site": site, "depth": depth, "family": family}
            rows += [
                dict.fromkeys(MEASURES) | run | place | {"part": part, "measure": measure, "value": value}
                | {"unit": "nmse" if "zx" in measure else "1", "n": SAMPLES, "d": 64, "edge": ""}
                | {"field": about(measure)}
                | {"stderr": 0.01 if "zx" in measure else None, "constant_features": 0, "note": ""}
                | {"detail": '{"z_equals_s_plus_f":true}'}
                for (part, measure), value in found.items()
            ]  # fmt: skip
    return rows


def history_rows(run: dict[str, Any], at: list[int]) -> list[dict[str, Any]]:
    rows = []
    for step in at:
        time = math.log1p(step) / math.log1p(640)
        rows.append(
            {
                "step": step,
                "epoch": step / 20,
                "train_loss": LABEL_ENTROPY * (1 - 0.95 * time) if step else None,
                "train_accuracy": 0.1 + 0.88 * time if step else None,
                "validation_loss": LABEL_ENTROPY * (1 - 0.9 * time),
                "validation_accuracy": 0.1 + 0.8 * time * (1 - 0.04 * run["seed"]),
                "learning_rate": 0.1,
                "gradient_norm": 1.0 if step else None,
                "seconds": 0.37 * step,
            }
        )
    return long(rows)


def write_run(
    folder: Path,
    architecture: str,
    shortcut: str,
    seed: int,
    at: list[int],
    names: list[str],
    families: tuple[str, ...] = ("kernel", "linear"),
    diverged_at: int | None = None,
    gradients: bool = False,
) -> None:
    """Write one run's history and measures where `expected` looks for them."""
    run = {"architecture": architecture, "shortcut": shortcut, "seed": seed}
    where = expected(folder, architecture, shortcut, seed, families)
    status = {"status": "finished" if diverged_at is None else "diverged", "diverged_at": diverged_at}
    common = status | {"versions": VERSIONS, "device": "cpu"}
    spec = {"architecture": {"kind": "resnet", "options": {}}, "shortcut": {"kind": shortcut, "options": {}}}
    reached = [step for step in at if diverged_at is None or step < diverged_at]
    columns = {name: kind for name, kind in HISTORY.items() if name not in run}
    schema = _schema(columns)
    rows = history_rows(run, reached)
    if diverged_at is not None:
        lost = {"step": diverged_at, "epoch": diverged_at / 20, "train_loss": math.nan, "validation_loss": math.nan}
        rows += long([lost])
    about: dict[str, Any] = {"spec": spec, "parameters": 12345, "classes": 10, "input": image(1, 8, 8).to_dict()}
    about |= common | {
        "metrics": [asdict(ACCURACY)],
        "loss_unit": "nats",
        "trivial": {"loss": LABEL_ENTROPY, "accuracy": 0.1},
    }
    write_rows(where.history, pa.Table.from_pylist(rows, schema), about)
    for family, path in where.measures.items():
        rows = measure_rows(run, family, reached, names)
        rows += gradient_rows(run, family, reached, names) if gradients else []
        rows += anatomy_rows(run, family, reached, names) if gradients else []
        metadata = common | {"spec": {"family": {"kind": family, "options": {}}}}
        write_rows(path, pa.Table.from_pylist(rows, _schema(MEASURES)), metadata)


def expected(
    folder: Path, architecture: str, shortcut: str, seed: int, families: tuple[str, ...] = ("kernel", "linear")
) -> ExpectedRun:
    """The run as the workflow would name it."""
    run = f"{architecture}/{shortcut}/seed{seed}"
    return ExpectedRun(
        architecture,
        shortcut,
        seed,
        folder / "train" / run / "history.parquet",
        {family: folder / "measures" / run / f"{family}.parquet" for family in families},
    )


def experiment(
    folder: Path,
    architectures: tuple[str, ...] = ("resnet", "vit"),
    shortcuts: tuple[str, ...] = ("identity", "none", "projection"),
    seeds: int = 2,
    checkpoints: int = 12,
    blocks: int = 5,
    missing: tuple[str, str, int] | None = ("vit", "projection", 1),
    diverged: tuple[str, str, int] | None = ("vit", "none", 1),
    families: tuple[str, ...] = ("kernel", "linear"),
    gradients: bool = False,
) -> list[ExpectedRun]:
    """A whole experiment's files, with one run missing and one diverged at step 20; with gradients in every family."""
    runs = []
    for architecture in architectures:
        for shortcut in shortcuts:
            for seed in range(seeds):
                runs.append(expected(folder, architecture, shortcut, seed, families))
                if (architecture, shortcut, seed) != missing:
                    bad = 20 if (architecture, shortcut, seed) == diverged else None
                    place = folder, architecture, shortcut, seed
                    write_run(*place, steps(checkpoints), sites(blocks), families, bad, gradients)
    return runs


def config(
    architectures: tuple[str, ...] = ("resnet", "vit"),
    shortcuts: tuple[str, ...] = ("identity", "none", "projection"),
    seeds: int = 2,
) -> dict[str, Any]:
    """A configuration such as the workflow keeps in the tables."""
    return {
        "experiment": "synthetic",
        "data": {"kind": "digits", "held_out": SAMPLES, "validation": 197},
        "architectures": dict.fromkeys(architectures),
        "shortcuts": dict.fromkeys(shortcuts),
        "seeds": list(range(seeds)),
        "training": {"steps": 640, "learning_rate": 0.0625},
    }


def _schema(columns: dict[str, Any]) -> pa.Schema:
    frame = pl.DataFrame(schema=columns)
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).schema


def made(folder: Path, **shape: Any) -> Tables:
    """Tables of an experiment of this shape."""
    grid = {key: shape[key] for key in ("architectures", "shortcuts", "seeds") if key in shape}
    paths = folder / "measures.parquet", folder / "history.parquet"
    collect(experiment(folder / "results", gradients=True, **shape), config(**grid), *paths)
    return Tables.read(*paths)


def analysed(tables: Tables, **settings: Any) -> Tables:
    """The same tables with their phases."""
    found = analyse(tables.measures, tables.history, Settings(**settings), tables.metadata)
    return replace(tables, phases=found)


class Fetches(HTMLParser):
    """Collect everything that a browser would fetch, and identifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.fetched += [f"{tag} {found[key]}" for key in ("src", "srcset", "data", "poster") if found.get(key)]
        if tag in ("link", "iframe", "base", "object", "embed"):
            self.fetched.append(tag)
        if href := found.get("href"):
            (self.targets if href.startswith("#") else self.fetched).append(href.removeprefix("#"))
        if name := found.get("id"):
            self.ids.append(name)


def loads(path: Path) -> list[str]:
    parser = Fetches()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.fetched
