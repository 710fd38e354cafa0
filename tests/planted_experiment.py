"""An experiment whose last blocks move as they are told to: tables, phases, and what becomes of claims."""

from typing import Any

import numpy as np
import polars as pl
from workflow import tiny

from infoplane.config.load import load
from infoplane.measures.estimate import BLOCKS
from infoplane.phases.analysis import Settings, analyse
from infoplane.phases.claims import judge
from infoplane.phases.results import Phases
from infoplane.testing.histories import long

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
CLASSES = 10
Shape = tuple[float, float, float]
"""Z-X at the first checkpoint, at the turn and at the last."""

SKIPS, BOTH, FROZEN = (0.10, 0.10, 0.20), (0.60, 0.40, 0.50), (0.30, 0.30, 0.30)


class Planted:
    """Tables of an experiment whose last blocks move as they are told to, and their phases."""

    def __init__(
        self,
        networks: dict[tuple[str, str], Shape],
        seeds: int = 4,
        noise: float = 0.002,
        turn: int = 4,
        absent: tuple[tuple[str, str, int], ...] = (),
        untaught: tuple[tuple[str, str], ...] = (),
        told_at_once: tuple[tuple[str, str], ...] = (),
        classes: int | None = CLASSES,
        gaps: dict[tuple[str, str], float] | None = None,
    ) -> None:
        random = np.random.default_rng(7)
        rows: list[dict[str, Any]] = []
        history: list[dict[str, Any]] = []
        for (architecture, shortcut), (start, low, end) in networks.items():
            up = np.linspace(0, 1, len(STEPS) - turn)
            curve = np.concatenate([np.linspace(start, low, turn + 1)[:-1], low + (end - low) * up])
            learns = (architecture, shortcut) not in untaught
            zy = np.linspace(2.3, 0.3 if learns else 2.3, len(STEPS))
            if (architecture, shortcut) in told_at_once:
                zy = np.full(len(STEPS), 0.3)
            for seed in range(seeds):
                run = {"architecture": architecture, "shortcut": shortcut, "seed": seed}
                if (architecture, shortcut, seed) in absent:
                    rows.append(run | {"family": "kernel", "status": "missing"})
                    continue
                apart = noise * random.standard_normal()
                for place, step in enumerate(STEPS):
                    for measure, value, reference in (("zx", curve[place], 1.0), ("zy", zy[place], 2.3)):
                        parts = value + apart + noise * random.standard_normal(BLOCKS)
                        rows.append(
                            run
                            | {"step": step, "site": "block1", "part": "z", "depth": 1, "measure": measure}
                            | {"family": "kernel", "value": float(parts.mean()), "stderr": 0.01, "n": 300}
                            | {"reference": reference, "blocks": parts.tolist(), "status": "finished"}
                        )  # fmt: skip
                gap = (gaps or {}).get((architecture, shortcut), 0.1)
                history += long(
                    [
                        run
                        | {"step": STEPS[-1], "train_loss": 0.2, "validation_loss": 0.2 + gap, "status": "finished"}
                        | {"train_accuracy": 1.0, "validation_accuracy": 0.9 if learns else 0.1}
                    ]
                )
        self.measures = pl.DataFrame(rows, schema_overrides={"blocks": pl.List(pl.Float64), "step": pl.Int64})
        self.history = pl.DataFrame(history)
        self.architectures = sorted({architecture for architecture, _ in networks})
        self.shortcuts = sorted({shortcut for _, shortcut in networks})
        self.metadata = {"seeds": list(range(seeds))} | ({"trivial": {"accuracy": 1 / classes}} if classes else {})
        self.phases = self.analysed()

    def analysed(self, **settings: Any) -> Phases:
        return analyse(self.measures, self.history, Settings(nulls=0, **settings), self.metadata)

    def judge(self, *claims: dict[str, Any], phases: Phases | None = None) -> pl.DataFrame:
        """Through the configuration, as the workflow does."""
        shortcuts = {label: {"kind": "identity"} for label in self.shortcuts}
        architectures = {label: {"kind": "mlp"} for label in self.architectures}
        named = {f"claim{place}": said(**claim) for place, claim in enumerate(claims)}
        plan = load(tiny() | {"architectures": architectures, "shortcuts": shortcuts, "claims": named})
        return judge(plan.claims, self.measures, phases or self.phases, self.metadata)

    def verdict(self, **claim: Any) -> str:
        """On the first claim as a whole."""
        return str(self.judge(claim).filter("overall")["verdict"][0])


def said(**values: Any) -> dict[str, Any]:
    return {
        "sentence": "It is so.",
        "provenance": "ours",
        "quantity": "fit_depth",
        "of": "a",
        "expected": "less",
    } | values
