"""I(X;Z) and I(X;Z|Y) of a stochastic layer z = mu(x) + sigma(x) eps, whose density q(z|x) is known.

Kawaguchi, Deng, Ji, Huang, "How does information bottleneck help deep learning?" (2023), section 5: Monte Carlo over
one draw of z per sample, X being the samples themselves. Nats; densities are sums over all dimensions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.neighbours import Information
from infoplane.streams import own_seed

BLOCK = 1 << 20
"""Elements of the n x n matrix, and of what it is made of, that are held at a time."""

ROUNDING = 1e-8
"""By about how much the inner products' rounding may change a log density."""


def draw_layer(mu: Tensor, sigma: Tensor, seed: int = 0, draw: int = 0) -> Tensor:
    """z = mu + sigma eps, eps standard normal, float64; mu and sigma of shape (n, d), sigma broadcastable.

    draw: which of several draws of one seed.
    """
    generator = torch.Generator().manual_seed(own_seed(seed, "layer", draw))
    eps = torch.randn(mu.shape, generator=generator, dtype=torch.float64).to(mu.device)
    return eps.mul_(sigma.double()).add_(mu)


def log_densities(mu: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
    """The function from z of shape (n, d) to log q(z_i|x_j) + d/2 log 2 pi, shape (n, m); mu and sigma (m, d), float64.

    By inner products, after a common shift that keeps what they cancel small; where that is not enough (means of 1e7
    beside noise of 0.1), by differences, which cost more.
    """
    centre = mu.mean(0)
    mu = mu - centre
    if not bool((mu / sigma).square().sum(1).max() * torch.finfo(torch.float64).eps < ROUNDING):
        return lambda z: torch.cat([_by_differences(one - centre, mu, sigma) for one in z.split(1)])
    if bool((sigma == sigma[0, 0]).all()):
        scale, norms = float(sigma[0, 0]), torch.linalg.vector_norm(mu, dim=1).square() / 2

        def alike(z: Tensor) -> Tensor:
            z = z - centre
            found = (z @ mu.T).sub_(norms).sub_(z.square().sum(1)[:, None] / 2)
            return found.div_(scale**2).sub_(mu.shape[1] * math.log(scale))

        return alike
    precision = sigma.square().reciprocal()
    offsets = (mu.square() * precision).sum(1) / 2 + sigma.log().sum(1)

    def each(z: Tensor) -> Tensor:
        z = z - centre
        return z.square() @ precision.T * -0.5 + z @ (mu * precision).T - offsets

    return each


def _by_differences(z: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """What `log_densities` gives for one z, (1, d), from ((z - mu_j) / sigma_j)^2; shape (1, m)."""
    return -(((z - mu) / sigma).square().sum(1) / 2 + sigma.log().sum(1))[None]


def stochastic_information(mu: Tensor, sigma: Tensor, seed: int = 0, z: Tensor | None = None) -> Information:
    """I(X;Z) = mean_i [log q(z_i|x_i) - log mean_j q(z_i|x_j)] in nats, X uniform over the n samples.

    mu, sigma: (n, d), sigma > 0, broadcastable; z: draws of shape (n, d), or else one per sample is made with the
    seed. It cannot exceed log n, and is noted when it is within `SATURATED` of it. Raises `UserError` for NaN,
    infinity and a sigma that is not above 0.
    """
    z, mu, sigma = _checked(mu, sigma, seed, z)
    return _about(_gains(z, mu, sigma)[0], math.log(len(mu)))


def conditional_information(
    mu: Tensor, sigma: Tensor, labels: Tensor, seed: int = 0, z: Tensor | None = None
) -> Information:
    """I(X;Z|Y) in nats: `stochastic_information` within every class, weighted by the classes' shares.

    labels: int64, shape (n,). It cannot exceed sum_y p(y) log n_y. Raises `UserError` as `stochastic_information`.
    """
    return informations(mu, sigma, labels, seed, z)[1]


def informations(
    mu: Tensor, sigma: Tensor, labels: Tensor, seed: int = 0, z: Tensor | None = None
) -> tuple[Information, Information]:
    """`stochastic_information` and `conditional_information` of one draw, in the time of the first."""
    z, mu, sigma = _checked(mu, sigma, seed, z)
    if len(labels) != len(mu):
        raise UserError(f"{len(mu)} samples but {len(labels)} labels.")
    sizes = torch.unique(labels, return_counts=True)[1].double()
    most = float((sizes * sizes.log()).sum()) / len(mu)
    among_all, within = _gains(z, mu, sigma, labels)
    return _about(among_all, math.log(len(mu))), _about(within, most)


SATURATED = 0.1
"""Share of the largest possible value within which a value only says that it is large."""


def _gains(z: Tensor, mu: Tensor, sigma: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """log q(z_i|x_i) - log mean_j q(z_i|x_j) per sample, j among all samples, and among those of the same label.

    Some rows of the n x n matrix at a time.
    """
    n, density = len(mu), log_densities(mu, sigma)
    labels = torch.zeros(n, dtype=torch.int64, device=mu.device) if labels is None else labels
    rows = max(1, BLOCK // max(n, z.shape[1]))
    among_all, within = [], []
    for first, part in zip(range(0, n, rows), z.split(rows), strict=True):
        densities, others = density(part), labels[first : first + rows, None] != labels
        own = densities.diagonal(first).clone()
        among_all.append(own - densities.logsumexp(1) + math.log(n))
        same = (n - others.sum(1)).double().log()
        within.append(own - densities.masked_fill_(others, -math.inf).logsumexp(1) + same)
    return torch.cat(among_all), torch.cat(within)


def _about(gains: Tensor, most: float) -> Information:
    value, stderr = float(gains.mean()), float(gains.std() / math.sqrt(len(gains))) if len(gains) > 1 else 0.0
    saturated = most > 0 and value > (1 - SATURATED) * most
    return Information(value, stderr, f"saturated: it cannot exceed {most:.2f}" if saturated else "")


def _checked(mu: Tensor, sigma: Tensor, seed: int, z: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    mu = mu[:, None].double() if mu.ndim == 1 else mu.flatten(1).double()
    sigma = torch.as_tensor(sigma, dtype=torch.float64, device=mu.device)
    sigma = (sigma[:, None] if sigma.ndim == 1 and len(sigma) == len(mu) else sigma).expand(mu.shape)
    if not bool(torch.isfinite(mu).all() and torch.isfinite(sigma).all()):
        raise UserError("mu or sigma holds NaN or infinity.")
    if not bool((sigma > 0).all()):
        raise UserError("sigma must be above 0: without noise a layer's information is infinite.")
    z = draw_layer(mu, sigma, seed) if z is None else z.double().reshape(mu.shape)
    return z, mu, sigma
