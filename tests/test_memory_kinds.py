"""Shortcut kinds that keep a memory: against their published forms, and undone."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import OPTIONS, additions, images, network
from torch import Tensor, nn

from infoplane import registry
from infoplane.models.build import is_chain
from infoplane.models.residual import ResidualAddition, Stream
from infoplane.models.sites import reading
from infoplane.specs import Plugin
from infoplane.training.members import Members

UNDONE = {"reversible": 2, "momentum": 2}
"""Kinds whose state determines the one before it -> how many tensors it has."""


def randomised(of: nn.Module, seed: int = 1) -> nn.Module:
    """The same network with random parameters in its shortcuts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for addition in additions(of):
            for parameter in addition.shortcut.parameters():
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return of


def branches(of: nn.Module) -> list[Any]:
    """What each addition's branch makes of what it reads, norm included."""
    return [lambda x, own=addition: own.branch(own.pre_norm(x)) for addition in additions(of)]


def ends(of: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the first branch reads and the last sum."""
    seen: list[Tensor] = []
    handles = [
        additions(of)[0].register_forward_pre_hook(lambda _module, given: seen.append(given[0].x)),
        additions(of)[-1].register_forward_hook(lambda _module, _given, made: seen.append(made.x)),
    ]
    with torch.no_grad():
        of(x)
    for handle in handles:
        handle.remove()
    return seen[0], seen[1]


# What was there stays as it was


def plain(of: nn.Module, stream: Stream) -> Tensor:
    """x + f(norm(x)) and nothing else, for as many additions as there are."""
    x = stream.x
    for own in additions(of):
        x = own.activation(own.post_norm(own.match(x) + own.branch(own.pre_norm(x))))
    return x


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
@pytest.mark.parametrize("architecture", OPTIONS)
def test_identity_is_the_plain_residual_network_to_the_bit(architecture: str, norm: str) -> None:
    """Logits and all gradients; the reference runs through the same network with its additions replaced."""
    ours = network(architecture, "identity", {"norm": norm, "post_activation": "relu"})
    reference = copy.deepcopy(ours)
    own = additions(reference)
    own[0].forward = lambda stream: Stream(plain(reference, stream))  # type: ignore[method-assign]
    for later in own[1:]:
        later.forward = lambda stream: stream  # type: ignore[method-assign]
    logits, expected = ours(images()), reference(images())
    assert torch.equal(logits, expected)
    logits.square().sum().backward()
    expected.square().sum().backward()
    for (name, one), other in zip(ours.named_parameters(), reference.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None and torch.equal(one.grad, other.grad), name


@pytest.mark.parametrize("kind", ["hyper", "depth_average", "decayed"])
@pytest.mark.parametrize("architecture", OPTIONS)
def test_kinds_that_start_as_the_identity(architecture: str, kind: str) -> None:
    options = {"final": 1.0} if kind == "decayed" else {}
    expected = network(architecture, "identity").eval()
    found = network(architecture, kind, **options).eval()
    found.load_state_dict(expected.state_dict(), strict=False)
    with torch.no_grad():
        torch.testing.assert_close(found(images()), expected(images()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", registry.names("shortcut"))
@pytest.mark.parametrize("architecture", OPTIONS)
def test_stacked_members_compute_what_each_does_alone(architecture: str, kind: str) -> None:
    alone = [randomised(network(architecture, kind), seed).eval() for seed in (1, 2)]
    states = [one.state_dict() for one in alone]
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    with torch.no_grad():
        found = Members(alone[0], [1, 2], torch.device("cpu"), in_turn=False).read(stacked, images())
        expected = torch.stack([one(images()) for one in alone])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


# Against the published forms, written as their papers write them: from stream to branch input


@pytest.mark.parametrize("mixing", ["free", "identity", "doubly_stochastic"])
@pytest.mark.parametrize("architecture", ["vit", "mlp"])
def test_hyper_connections(architecture: str, mixing: str) -> None:
    """Zhu et al. 2024, algorithm 2, static: h = A_m' H; H <- A_r' H + B' f(h)."""
    ours = randomised(network(architecture, "hyper", streams=3, mixing=mixing)).eval()
    stem, last = ends(ours, images())
    kinds = [addition.shortcut for addition in additions(ours)]
    h = torch.stack([stem] * 3)
    read = torch.tensor([1.0, 0.0, 0.0])
    with torch.no_grad():
        for kind, branch in zip(kinds, branches(ours), strict=True):
            output = branch(sum(weight * one for weight, one in zip(read, h, strict=True)))
            mixed = kind.mixing_matrix()
            h = torch.stack([sum(mixed[i, j] * h[i] for i in range(3)) + kind.write[j] * output for j in range(3)])
            read = kind.read
        torch.testing.assert_close(last, sum(w * one for w, one in zip(read, h, strict=True)), rtol=1e-5, atol=1e-5)


def test_doubly_stochastic_rows_and_columns_sum_to_1() -> None:
    kind = additions(randomised(network("mlp", "hyper", mixing="doubly_stochastic")))[0].shortcut
    matrix = kind.mixing_matrix()
    torch.testing.assert_close(matrix.sum(0), torch.ones(4))
    torch.testing.assert_close(matrix.sum(1), torch.ones(4), rtol=0, atol=5e-3)  # 20 rounds, columns last
    assert matrix.min() > 0
    start = additions(network("mlp", "hyper", mixing="doubly_stochastic"))[0].shortcut.mixing_matrix()
    torch.testing.assert_close(start, torch.eye(4), rtol=0, atol=2e-3)


def test_what_is_not_mixed_is_not_learned() -> None:
    names = [name for name, _ in network("mlp", "hyper", mixing="identity").named_parameters() if "shortcut" in name]
    assert names and not [name for name in names if name.endswith("mixed")]


@pytest.mark.parametrize("architecture", ["vit", "mlp"])
def test_attention_residuals(architecture: str) -> None:
    """Kimi Team 2026: h_l = sum_{i < l} softmax_i(w_l . rms(v_i)) v_i, v_0 the stem, v_i = f_i(h_i)."""
    ours = randomised(network(architecture, "attention")).eval()
    stem, last = ends(ours, images())
    values, h = [stem], stem
    with torch.no_grad():
        for addition, branch in zip(additions(ours), branches(ours), strict=True):
            values.append(branch(h))
            stacked = torch.stack(values)
            keys = F.rms_norm(stacked, stacked.shape[-1:], addition.shortcut.gain, 1e-6)
            weights = torch.einsum("l...d,d->l...", keys, addition.shortcut.query).softmax(0)
            h = (weights[..., None] * stacked).sum(0)
    torch.testing.assert_close(last, h, rtol=1e-5, atol=1e-5)


def test_attention_starts_as_the_plain_mean() -> None:
    ours = network("mlp", "attention").eval()
    with torch.no_grad(), reading(ours) as seen:
        ours(images())
    stem, total = seen["stem.z"], seen["stem.z"]
    for index in range(1, 7):
        total = total + (index + 1) * seen[f"block{index}.f"]
        torch.testing.assert_close(seen[f"block{index}.z"], total / (index + 1), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(stem, total)


@pytest.mark.parametrize("architecture", ["vit", "mlp"])
def test_depth_weighted_averages(architecture: str) -> None:
    """Pagliardini et al. 2024: X_i = B_i(Y_{i-1}), Y_i = sum_{j <= i} a_ij X_j, B_i a block with its identity."""
    ours = randomised(network(architecture, "depth_average")).eval()
    stem, last = ends(ours, images())
    sums, y = [stem], stem
    with torch.no_grad():
        for addition, branch in zip(additions(ours), branches(ours), strict=True):
            sums.append(y + branch(y))
            y = torch.einsum("j,j...->...", addition.shortcut.weights, torch.stack(sums))
    torch.testing.assert_close(last, y, rtol=1e-5, atol=1e-5)


def test_two_streams_take_turns() -> None:
    """RevNet, equation 8: y1 = x1 + F(x2), y2 = x2 + G(y1)."""
    ours = network("mlp", "reversible").eval()
    stem, last = ends(ours, images())
    one, two = stem, stem
    with torch.no_grad():
        own = branches(ours)
        for f, g in zip(own[::2], own[1::2], strict=True):
            one = one + f(two)
            two = two + g(one)
    assert torch.equal(last, two)


def test_a_velocity_that_is_kept() -> None:
    """Momentum residual networks, equation 5: v <- gamma v + (1 - gamma) f(x), x <- x + v, from v = 0."""
    ours = network("mlp", "momentum", gamma=0.7).eval()
    x, last = ends(ours, images())
    v = torch.zeros_like(x)
    with torch.no_grad():
        for branch in branches(ours):
            v = 0.7 * v + 0.3 * branch(x)
            x = x + v
    torch.testing.assert_close(last, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "peri", "none"])
@pytest.mark.parametrize("kind", UNDONE)
@pytest.mark.parametrize("architecture", sorted(set(OPTIONS) - {"tapered_mlp"}))  # whose first addition cuts the input
def test_the_stem_is_recovered_from_the_last_state(architecture: str, kind: str, norm: str) -> None:
    """The state is read at the part m of the last addition; then every addition is undone."""
    ours = network(architecture, kind, {"norm": norm}).eval()
    stem, last = ends(ours, images())
    own = additions(ours)
    name = next(name for name, module in ours.named_modules() if module is own[-1])
    with torch.no_grad(), reading(ours) as seen:
        ours(images())
        x, beside = seen[f"{name}.m"].chunk(2, 1)
        assert torch.equal(x, last)
        for addition in reversed(own):

            def branch(read: Tensor, of: ResidualAddition = addition) -> Tensor:
                return of.branch_norm(of.branch(of.pre_norm(read)))

            if kind == "reversible":
                x, beside = beside, x - branch(beside)
            else:
                before = x - beside
                x, beside = before, (beside - 0.1 * branch(before)) / 0.9
    match = own[0].match(stem)
    torch.testing.assert_close(x, match, rtol=0, atol=1e-5)
    torch.testing.assert_close(beside, match if kind == "reversible" else torch.zeros_like(x), rtol=0, atol=1e-5)


# The rest of the kinds, by hand


def test_the_identity_decays_from_1_to_its_last_factor() -> None:
    factors = [addition.shortcut.factor for addition in additions(network("mlp", "decayed", final=0.5))]
    assert factors == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5])
    alone = additions(network("mlp", "decayed", {"blocks": 1}, final=0.5))
    assert [addition.shortcut.factor for addition in alone] == [1]


@pytest.mark.parametrize("over", ["features", "sample"])
@pytest.mark.parametrize("architecture", OPTIONS)
def test_what_is_orthogonal_to_the_shortcut(architecture: str, over: str) -> None:
    ours = network(architecture, "orthogonal", over=over).eval()
    axis = 1 if architecture == "resnet" else -1
    with torch.no_grad(), reading(ours) as seen:
        ours(images())
    pairs = [(seen[name], seen[f"{name[:-1]}f"]) for name in seen if name.endswith(".s")]
    assert pairs
    for s, f in pairs:
        products = (s * f).sum(axis) if over == "features" else (s * f).flatten(1).sum(1)
        sizes = s.square().flatten(1).sum(1).max().sqrt() * f.square().flatten(1).sum(1).max().sqrt()
        assert products.abs().max() < 1e-5 * sizes and f.abs().max() > 0


@pytest.mark.parametrize("architecture", OPTIONS)
def test_a_state_of_streams_is_the_streams(architecture: str) -> None:
    ours = randomised(network(architecture, "hyper", streams=2)).eval()
    with torch.no_grad(), reading(ours) as seen:
        ours(images())
    kinds = {name: module for name, module in ours.named_modules() if isinstance(module, ResidualAddition)}
    for name, addition in kinds.items():
        streams = torch.stack(seen[f"{name}.m"].chunk(2, 1))
        total = torch.tensordot(addition.shortcut.read, streams, 1)
        torch.testing.assert_close(seen[f"{name}.z"], total, rtol=1e-5, atol=1e-5)


def test_training_pays_for_no_state() -> None:
    ours = network("mlp", "reversible").train()
    with reading(ours) as seen:
        ours(images())
    assert not [name for name in seen if name.endswith(".m")]


def test_sums_of_a_kind_with_a_memory_are_no_chain() -> None:
    found = {kind: is_chain(Plugin("vit"), Plugin(kind)) for kind in registry.names("shortcut")}
    assert {kind for kind, chain in found.items() if not chain} == {
        "reversible", "momentum", "attention", "depth_average", "hyper"
    }  # fmt: skip
    assert not is_chain(Plugin("vit", {"values": "first"}), Plugin("identity"))
    assert is_chain(Plugin("mlp"), Plugin("none"))
