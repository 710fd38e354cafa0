"""Mix decoders by convex weights that are chosen on validation samples (stacked generalisation, Wolpert 1992)."""

import torch
from torch import Tensor

ROUNDS = 60
"""Of expectation maximisation."""

SINGULAR = 1e-12
"""Added to the squared errors, relative to the largest: errors may be multiples of one another."""

PRIOR = 0.1
"""Samples that the first candidate is taken to have explained beforehand."""


def squared_weights(candidates: Tensor, truth: Tensor) -> Tensor:
    """Weights >= 0 of sum 1 that give the mixture the least squared error on validation samples.

    candidates: the predictions, shape (c, V, p); truth: (V, p); the result: (c,). Exact, by trying every subset of the
    candidates. A candidate that is not finite has weight 0.
    """
    errors = (candidates - truth).flatten(1)
    usable = torch.isfinite(errors).all(1)
    products = torch.where(usable[:, None], errors, 0).double()
    return quadratic_weights((products @ products.T).cpu(), usable).to(candidates.device)


def quadratic_weights(products: Tensor, usable: Tensor | None = None) -> Tensor:
    """The same from the inner products of the candidates' errors, (c, c), float64; usable: which may have a weight."""
    count = len(products)
    usable = torch.ones(count, dtype=torch.bool) if usable is None else usable
    scale = float(products.diagonal().max()) or 1.0
    best, least = torch.zeros(count, dtype=torch.float64), float("inf")
    for chosen in range(1, 1 << count):
        members = [index for index in range(count) if chosen >> index & 1]
        if not all(bool(usable[index]) for index in members):
            continue
        block = products[members][:, members] / scale
        # the best weights of sum 1 are proportional to the row sums of the inverse
        solved = torch.linalg.solve(block + SINGULAR * torch.eye(len(members)), torch.ones_like(block[0]))
        weights = solved / solved.sum()
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
            continue
        loss = float(weights @ block @ weights)
        if loss < least:
            best, least = torch.zeros_like(best), loss
            best[members] = weights
    return best


def likelihood_weights(candidates: Tensor) -> Tensor:
    """Weights >= 0 of sum 1 under which validation samples are most likely, by expectation maximisation.

    candidates: the probability that each gives to the true class, shape (splits, c, V); the result: (splits, c). The
    first candidate has `PRIOR` samples in advance, so that neither its weight nor a sample's probability becomes 0.
    """
    splits, count, _ = candidates.shape
    candidates = candidates.nan_to_num(0)
    weights = candidates.new_full((splits, count), 1 / count)
    for _ in range(ROUNDS):
        shares = weights[:, :, None] * candidates
        shares = (shares / shares.sum(1, keepdim=True).clamp(min=1e-30)).sum(2)
        shares[:, 0] += PRIOR
        weights = shares / shares.sum(1, keepdim=True)
    return weights
