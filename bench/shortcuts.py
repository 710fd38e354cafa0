"""What each shortcut kind costs: parameters, and time per training step beside the identity's.

    OMP_NUM_THREADS=1 python bench/shortcuts.py [--steps 20] [--repeats 5] [--output <file>]

The networks of config/experiments/shortcuts2026.yaml, one batch of 64 images of the digits' size: forward, backward and
an AdamW step. All kinds of an architecture take turns in one process; the best of the repeats counts for each, in
processor time.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hardware import hardware
from torch import nn

from infoplane import registry
from infoplane.models.build import build
from infoplane.options import image, vector
from infoplane.specs import Plugin

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "vit": {"blocks": 6},
    "mixer": {"blocks": 6},
    "resnet": {"blocks": 6, "stem_pool": 2, "post_activation": "none"},
}
SHAPE, CLASSES, BATCH = (1, 8, 8), 10, 64


def step(network: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, *SHAPE, generator=generator)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    kinds = ["identity", *(name for name in registry.names("shortcut") if name != "identity")]
    rows = []
    for architecture, options in ARCHITECTURES.items():
        networks = {
            kind: build(Plugin(architecture, options), Plugin(kind), image(*SHAPE), vector(CLASSES), seed=0).train()
            for kind in kinds
        }
        optimizers = {kind: torch.optim.AdamW(network.parameters(), 1e-3) for kind, network in networks.items()}
        best = dict.fromkeys(kinds, float("inf"))
        for repeat in range(args.repeats + 1):
            for kind in kinds:
                begun = time.process_time()
                for _ in range(args.steps):
                    step(networks[kind], optimizers[kind], images, labels)
                if repeat:  # the first round fills caches
                    best[kind] = min(best[kind], (time.process_time() - begun) / args.steps)
        sizes = {kind: sum(p.numel() for p in network.parameters()) for kind, network in networks.items()}
        for kind in kinds:
            row = {
                "architecture": architecture,
                "kind": kind,
                "more_parameters": sizes[kind] - sizes["identity"],
                "milliseconds": round(1000 * best[kind], 2),
                "of_identity": round(best[kind] / best["identity"], 2),
            }
            print(json.dumps(row), flush=True)
            rows.append(row)
    if args.output:
        record = {"hardware": hardware(), "threads": 1, "batch": BATCH, "steps": args.steps, "rows": rows}
        args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
