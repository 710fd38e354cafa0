"""How often the verdict on an addition is right: on planted activations, and on made-up rows whose errors are known.

    python bench/blocks.py [--repeats 50] [--additions 500]

Planted: 300 samples of s and f with a known mechanism, measured by the family `anatomy`, one network each. Made-up: Z-X
of z is that of s plus a known compression plus errors over samples (common to all seeds) and between seeds, each of
standard deviation 0.01; f out-weighs s wherever anything is lost.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.measures.families import anatomy, linear
from infoplane.measures.targets import prepare
from infoplane.phases.blocks import blocks
from infoplane.tables import MEASURES

N, ERROR = 300, 0.01
COLUMNS = MEASURES | {"status": pl.String}


def planted(random: np.random.Generator) -> Iterator[tuple[str, str, Callable[[], tuple[Tensor, ...]]]]:
    """Right verdict, what it is, and a function that draws x, s, f and z."""

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(random.normal(size=shape))

    def added(scale: float, taken: float = 0.0) -> tuple[Tensor, ...]:
        s = normal(N, 8)
        f = scale * normal(N, 8) - taken * s
        return s, s, f, s + f

    def forgotten() -> tuple[Tensor, ...]:
        x = normal(N, 1).exp()
        s = x * torch.tensor([1.0, 2.0, 3.0, -4.0, -2.0, 0.5, 1.5, -2.0])
        f = 0.05 * normal(N, 8)
        return x, s, f, F.layer_norm(s + f, (8,))

    for taken in (0.97, 0.9, 0.7):
        yield "cancelling", f"f = −{taken} s + 0.2 noise", lambda taken=taken: added(0.2, taken)
    for scale in (10.0, 1.0, 0.3):
        yield "out-weighing", f"f = {scale:g} noise", lambda scale=scale: added(scale)
    yield "out-weighing", "f = −0.4 s + 6 noise", lambda: added(6.0, 0.4)
    yield "norm or pooling", "X is a length, layer norm after the sum", forgotten
    yield "none", "f = 0.05 noise", lambda: added(0.05)
    yield "none", "f = −0.5 s", lambda: added(0.0, 0.5)


def measured(x: Tensor, s: Tensor, f: Tensor, z: Tensor) -> list[dict[str, Any]]:
    """Rows as the family would write them."""
    targets = prepare(x.numpy(), np.arange(len(x)) % 2, torch.device("cpu"))
    told = [(p, e) for p, v in (("s", s), ("f", f), ("z", z)) for e in linear.estimate(v, targets, linear.Options())]
    told += list(anatomy.relations(s, f, z, targets, anatomy.Options(scales=(0.0, 0.5))))
    names = ("measure", "value", "stderr", "note", "detail", "n")
    return [{name: getattr(e, name) for name in names} | {"part": part} for part, e in told]


def made(compression: float, seed: int, error: float) -> list[dict[str, Any]]:
    """Rows of an addition that loses this much, read with this error."""
    z = 0.1 + compression + error
    zx = {("s", "zx"): 0.1, ("z", "zx"): z, ("z", "zx_intact"): z, ("z", "zx_branch_x0_refitted"): 0.1}
    zx |= {("z", "zx_without_antiparallel_refitted"): z}
    geometry = {("f", "regression_f_on_s"): 0.0, ("z", "variance_share_s"): 0.3, ("z", "variance_share_f"): 0.7}
    return [
        {"part": part, "measure": name, "value": value, "seed": seed, "n": N, "detail": '{"z_equals_s_plus_f":true}'}
        | {"stderr": ERROR / math.sqrt(2) if (part, name) in zx else None}
        for (part, name), value in (zx | geometry).items()
    ]


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    common = dict.fromkeys(COLUMNS) | {"architecture": "a", "shortcut": "identity", "family": "anatomy", "seed": 0}
    common |= {"step": 1, "depth": 1, "status": "finished", "note": ""}
    return pl.DataFrame([common | row for row in rows], schema=COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--additions", type=int, default=500)
    args = parser.parse_args()
    print("| planted | right | said |\n| --- | --- | --- |")
    for right, name, draw in planted(np.random.default_rng(0)):
        rows = [row | {"site": f"block{i}"} for i in range(args.repeats) for row in measured(*draw())]
        said = Counter(verdict or "undecided" for verdict in blocks(table(rows))["verdict"])
        print(f"| {name} | {right} | {', '.join(f'{key} {count}' for key, count in said.most_common())} |")
    print("\n| true compression | seeds | named a mechanism | none | undecided | interval holds the truth |")
    print("| --- | --- | --- | --- | --- | --- |")
    for compression in (0.0, 0.01, 0.03, 0.06, 0.1):
        for seeds in (1, 2, 3, 5):
            random = np.random.default_rng(0)
            rows = [
                row | {"site": f"block{i}"}
                for i in range(args.additions)
                for seed, error in enumerate(random.normal(0, ERROR, seeds) + random.normal(0, ERROR))
                for row in made(compression, seed, error)
            ]
            found = blocks(table(rows))
            share = Counter(verdict or "undecided" for verdict in found["verdict"])
            held = ((found["compression_low"] <= compression) & (found["compression_high"] >= compression)).mean()
            told = [args.additions - share["none"] - share["undecided"], share["none"], share["undecided"]]
            shares = " | ".join(f"{count / args.additions:.1%}" for count in told)
            print(f"| {compression:g} | {seeds} | {shares} | {held:.1%} |")


if __name__ == "__main__":
    main()
