"""Fewer dimensions for a neighbour estimator: principal components of the activations, or an autoencoder's code.

Butakov et al., "Information bottleneck analysis of deep neural networks via lossy compression" (2023). A function of Z
cannot hold more information on X than Z does, so I after compression on either side is at most I before it.
"""

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Compression = Literal["none", "pca", "autoencoder"]

EXACT = 1024
"""Smaller side of the matrix up to which its principal components come from a full decomposition."""

READ = 64
"""Principal components that an autoencoder reads."""

HIDDEN = 64
STEPS, BATCH, LEARNING_RATE = 1000, 256, 3e-3
CHECK, PATIENCE = 25, 5
"""Steps between looks at the left-out tenth, and looks without progress after which training ends."""


class Noises(NamedTuple):
    """Deviations of the noise with which an autoencoder learns: on its inputs (of variance 1), on its code."""

    inputs: float = 0.1
    code: float = 0.02


NOISES = Noises()
"""Those of Butakov et al."""


class Compressed(NamedTuple):
    """What was kept; float64, shape (n, dimensions), and its share of the variance."""

    code: Tensor
    kept: float


def compress(z: Tensor, dimensions: int, method: Compression, seed: int = 0, noises: Noises = NOISES) -> Compressed:
    """Samples (n, ...) in at most ``dimensions`` dimensions; unchanged where they have no more, or for ``none``.

    noises: of the autoencoder.
    """
    columns = z[:, None] if z.ndim == 1 else z.flatten(1)
    if method == "none" or columns.shape[1] <= dimensions:
        return Compressed(columns.double(), 1.0)
    found = principal_components(columns, dimensions if method == "pca" else READ, seed)
    if method == "pca":
        return found
    code, kept = autoencoder_code(found.code, dimensions, seed, noises)
    return Compressed(code, found.kept * kept)


@dataclass(frozen=True)
class _Known:
    """A tensor that is equal to another of the same content."""

    content: bytes
    tensor: Tensor = field(compare=False)


def compress_once(z: Tensor, dimensions: int, method: Compression, seed: int = 0) -> Compressed:
    """What `compress` returns, remembered: the inputs X are the same for every activation of a run."""
    digest = hashlib.blake2b(f"{z.dtype} {z.shape} {z.device}".encode(), digest_size=32)
    digest.update(z.cpu().contiguous().numpy().data)
    return _compress_known(_Known(digest.digest(), z), dimensions, method, seed)


@lru_cache(maxsize=4)
def _compress_known(known: _Known, dimensions: int, method: Compression, seed: int) -> Compressed:
    return compress(known.tensor, dimensions, method, seed)


def principal_components(z: Tensor, dimensions: int, seed: int = 0) -> Compressed:
    """Projections of (n, D) on the directions of most variance, the largest first; unscaled, mean 0.

    From the smaller of the two products of the matrix with itself; where both sides are beyond `EXACT`, by seeded
    subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4) on float32.
    """
    n, d = z.shape
    dimensions = min(dimensions, n - 1, d)
    if min(n, d) > EXACT:
        return _subspace_iteration(z.float(), dimensions, seed)
    centred = z.double() - z.double().mean(0)
    if d <= n:
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        code = centred @ vectors[:, -dimensions:].flip(1)
    else:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        code = vectors[:, -dimensions:].flip(1) * values[-dimensions:].flip(0).clamp(min=0).sqrt()
    return Compressed(code, _share(values[-dimensions:].sum(), values.sum()))


def _subspace_iteration(z: Tensor, dimensions: int, seed: int, rounds: int = 8, more: int = 16) -> Compressed:
    centred = z - z.mean(0)
    start = torch.randn(z.shape[1], dimensions + more, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(start.to(z.device))[0]
    for _ in range(rounds):
        basis = torch.linalg.qr(centred.T @ (centred @ basis))[0]
    projected = (centred @ basis).double()
    values, vectors = torch.linalg.eigh(projected.T @ projected)
    total = (centred.norm() ** 2).double()
    return Compressed(projected @ vectors[:, -dimensions:].flip(1), _share(values[-dimensions:].sum(), total))


def _share(part: Tensor, whole: Tensor) -> float:
    return min(1.0, float(part / whole)) if float(whole) > 0 else 1.0


def autoencoder_code(z: Tensor, dimensions: int, seed: int = 0, noises: Noises = NOISES) -> Compressed:
    """The tanh code of an autoencoder of samples (n, D), noise on its input and its code while it learns.

    It reads at most `READ` principal components, scaled by one factor to unit variance on average; one hidden layer
    each way; Adam; stopped early on a tenth that it did not learn from. The share of the variance kept is that of
    all samples. Deterministic for a seed on one device.
    """
    components, before = principal_components(z, READ, seed)
    inputs = (components / components.square().mean().sqrt().clamp(min=1e-300)).float()
    n, width = inputs.shape
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).to(inputs.device)

    sizes = [(width, HIDDEN), (HIDDEN, dimensions), (dimensions, HIDDEN), (HIDDEN, width)]
    weights = [draw(*size) * math.sqrt(1.0 / size[0]) for size in sizes]
    biases = [torch.zeros(size[1], device=inputs.device) for size in sizes]
    parameters = [parameter.requires_grad_() for parameter in (*weights, *biases)]

    def encode(x: Tensor) -> Tensor:
        hidden = torch.nn.functional.gelu(x @ weights[0] + biases[0])
        return torch.tanh(hidden @ weights[1] + biases[1])

    def decode(code: Tensor) -> Tensor:
        return torch.nn.functional.gelu(code @ weights[2] + biases[2]) @ weights[3] + biases[3]

    order = torch.randperm(n, generator=random).to(inputs.device)
    left_out, learned = inputs[order[: max(1, n // 10)]], inputs[order[max(1, n // 10) :]]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    least, best, since = math.inf, [p.detach().clone() for p in parameters], 0
    for step in range(STEPS):
        rows = learned[torch.randint(len(learned), (min(BATCH, len(learned)),), generator=random).to(inputs.device)]
        code = encode(rows + noises.inputs * draw(*rows.shape))
        loss = (decode(code + noises.code * draw(*code.shape)) - rows).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % CHECK == CHECK - 1:
            with torch.no_grad():
                error = float((decode(encode(left_out)) - left_out).square().mean())
            since = 0 if error < least else since + 1
            if error < least:
                least, best = error, [p.detach().clone() for p in parameters]
            if since >= PATIENCE:
                break
    with torch.no_grad():
        for parameter, value in zip(parameters, best, strict=True):
            parameter.copy_(value)
        code = encode(inputs)
        lost = float((decode(code) - inputs).square().sum() / inputs.square().sum().clamp(min=1e-300))
    return Compressed(code.double(), before * max(0.0, 1 - lost))
