"""Kernel-density bounds on mutual information against the way of the field's scripts, on the same arrays.

    python bench/kde.py [--samples 4096] [--repeats 5]

The field's way (as in the scripts of Saxe et al. 2018): all squared distances at once, a log-sum-exp per sample, anew
for the upper and the lower bound and for the samples of each label; here in float64, as torch operations. In turns,
the best of the repeats counts for each.
"""

import argparse
import json
import math
from functools import partial
from pathlib import Path

import torch
from binned import best
from hardware import hardware

from infoplane.measures.information.kde import kde_information

LAYERS = ((10, 1e-3), (10, 0.1), (2, 1e-3), (2, 0.1), (1024, 0.1))


def mixture_entropy(z: torch.Tensor, scale: float) -> float:
    """-mean_i log((1/n) sum_j exp(-r_ij / scale)), nats."""
    norms = z.square().sum(1, keepdim=True)
    exponents = -(norms + norms.T - 2 * z @ z.T) / scale
    return math.log(len(z)) - float(exponents.logsumexp(1).mean())


def plainly(z: torch.Tensor, labels: torch.Tensor, variance: float) -> list[float]:
    """I(X;Z) and I(Z;Y), of the upper and then of the lower bounds, nats."""
    found = []
    for scale in (2 * variance, 8 * variance):
        entropy = mixture_entropy(z, scale)
        classes = [z[labels == label] for label in range(2)]
        given = sum(len(rows) / len(z) * mixture_entropy(rows, scale) for rows in classes)
        found += [entropy, entropy - given]
    return found


def compare(width: int, variance: float, samples: int, repeats: int) -> dict[str, float]:
    """One layer: times, and the greatest difference between the two ways, in nats."""
    generator = torch.Generator().manual_seed(width)
    z = torch.randn(samples, width, generator=generator).tanh()
    labels = torch.randint(2, (samples,), generator=generator)
    exact = z.double()
    found = kde_information(z, labels, variance)
    ours = [found.ixz_upper, found.izy_of_uppers, found.ixz_lower, found.izy_of_lowers]
    seconds = best(
        repeats, [partial(plainly, exact, labels, variance)], [partial(kde_information, z, labels, variance)]
    )
    return {
        "width": width,
        "variance": variance,
        "plain_ms": seconds[0] * 1e3,
        "infoplane_ms": seconds[1] * 1e3,
        "ratio": seconds[0] / seconds[1],
        "ixz_upper_nats": ours[0],
        "ixz_lower_nats": ours[2],
        "difference": max(abs(a - b) for a, b in zip(ours, plainly(exact, labels, variance), strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("bench/results/kde.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    layers = [compare(width, variance, args.samples, args.repeats) for width, variance in LAYERS]
    record = {"hardware": hardware(), "threads": 1, "samples": args.samples, "layers": layers}
    args.output.write_text(json.dumps(record, indent=1) + "\n")
    print("| width | variance | plain, ms | infoplane, ms | ratio | upper, nats | lower, nats | difference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for layer in layers:
        print(
            f"| {layer['width']} | {layer['variance']:g} | {layer['plain_ms']:.0f} | {layer['infoplane_ms']:.0f} | "
            f"{layer['ratio']:.1f} | {layer['ixz_upper_nats']:.6f} | {layer['ixz_lower_nats']:.6f} | "
            f"{layer['difference']:.0e} |"
        )


if __name__ == "__main__":
    main()
