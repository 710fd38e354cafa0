"""InfoNCE: a lower bound of I(X;Z) from a trained critic, evaluated on samples that it was not trained on.

van den Oord, Li, Vinyals, "Representation learning with contrastive predictive coding" (2018); Poole et al., "On
variational bounds of mutual information" (2019), equation 10.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.coordinates import as_columns, varying
from infoplane.measures.information.neighbours import Information
from infoplane.streams import own_seed

SATURATED = 0.9
"""Share of the bound's largest possible value beyond which it only says that I(X;Z) is at least that."""


@dataclass(frozen=True)
class Critic:
    """A separable critic f(x, z) = g(x) . h(z) / sqrt(width), g and h of one hidden layer, and how it is trained."""

    hidden: int = 128
    width: int = 32
    batch: int = 128
    steps: int = 1000
    learning_rate: float = 1e-3
    patience: int = 8
    """Looks at the validation part without progress after which training ends; one look every 25 steps."""
    left_out: float = 0.4
    """Share of the samples that the bound is evaluated on; a quarter of the others decide when to stop."""


CRITIC = Critic()


def infonce(x: Tensor, z: Tensor, critic: Critic = CRITIC, seed: int = 0, groups: Tensor | None = None) -> Information:
    """A lower bound of I(X;Z) in nats; samples of shape (n,) or (n, d), n at least 16.

    mean_i [f(x_i, z_i) - log mean_j exp f(x_i, z_j)] over all m left-out samples at once: in expectation at most
    I(X;Z), and never more than log m; noted when it is above `SATURATED` of that. A critic that is worse than none
    is taken to be none (0). Every column is standardised. Deterministic for a seed on one device. Constant columns
    are left out; 0 where nothing else is left. groups: ids from 0 on of samples that belong together, shape (n,): the
    parts are then of whole groups, but for one at each border. Raises `UserError` for NaN, infinity,
    unequal lengths, small n.
    """
    if len(x) != len(z):
        raise UserError(f"{len(x)} samples of one variable, {len(z)} of the other: they have to be paired.")
    if len(x) < 16:
        raise UserError(f"{len(x)} samples are too few to train and to test a critic: at least 16 are needed.")
    x, z = varying(as_columns(x, "x")), varying(as_columns(z, "z"))
    if not x.shape[1] or not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    random = torch.Generator().manual_seed(own_seed(seed, "critic"))
    order = torch.randperm(len(x), generator=random)
    if groups is not None:
        order = torch.randperm(int(groups.max()) + 1, generator=random)[groups.cpu()].argsort(stable=True)
    tested = max(4, round(len(x) * critic.left_out))
    stopping = max(4, (len(x) - tested) // 4)
    parts = order.split([tested, stopping, len(x) - tested - stopping])
    sides = [((side - side.mean(0)) / side.std(0)).float() for side in (x, z)]
    test, stop, fit = ([side[rows.to(side.device)] for side in sides] for rows in parts)
    networks = _trained(fit, stop, critic, random)
    with torch.no_grad():
        gains = _gains(networks, *test)
    value, most = float(gains.mean()), math.log(tested)
    if value <= 0:
        return Information(0.0, float(gains.std() / math.sqrt(tested)), "no critic was better than a constant one")
    note = f"saturated: it cannot exceed {most:.2f}" if value > SATURATED * most else ""
    return Information(value, float(gains.std() / math.sqrt(tested)), note)


Network = list[Tensor]
"""Weight, bias, weight, bias."""


def _trained(fit: list[Tensor], stop: list[Tensor], critic: Critic, random: torch.Generator) -> list[Network]:
    """g and h where the bound on the validation part was highest."""
    device = fit[0].device

    def layer(rows: int, columns: int) -> list[Tensor]:
        weight = torch.randn(rows, columns, generator=random) * math.sqrt(2 / rows)
        return [weight.to(device).requires_grad_(), torch.zeros(columns, device=device, requires_grad=True)]

    networks = [layer(side.shape[1], critic.hidden) + layer(critic.hidden, critic.width) for side in fit]
    parameters = [tensor for network in networks for tensor in network]
    optimizer = torch.optim.Adam(parameters, lr=critic.learning_rate)
    highest, best, since = -math.inf, [tensor.detach().clone() for tensor in parameters], 0
    for step in range(critic.steps):
        rows = torch.randperm(len(fit[0]), generator=random)[: critic.batch].to(device)
        optimizer.zero_grad(set_to_none=True)
        (-_gains(networks, fit[0][rows], fit[1][rows]).mean()).backward()
        optimizer.step()
        if step % 25 == 24:
            with torch.no_grad():
                bound = float(_gains(networks, *stop).mean())
            since = 0 if bound > highest else since + 1
            if bound > highest:
                highest, best = bound, [tensor.detach().clone() for tensor in parameters]
            if since >= critic.patience:
                break
    return [best[:4], best[4:]]


def _gains(networks: list[Network], x: Tensor, z: Tensor) -> Tensor:
    codes = [_apply(network, side) for network, side in zip(networks, (x, z), strict=True)]
    scores = codes[0] @ codes[1].T / math.sqrt(codes[0].shape[1])
    return scores.diagonal() - scores.logsumexp(1) + math.log(len(x))


def _apply(network: Network, inputs: Tensor) -> Tensor:
    hidden = torch.nn.functional.gelu(inputs @ network[0] + network[1])
    return hidden @ network[2] + network[3]
