"""Sound in place of images: channels are mixed and time is not, in every shortcut kind, norm, match, pool and stack."""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import training
from fitting import data_of, inputs
from stacked_runs import compared

from infoplane import registry
from infoplane.activations.dump import dump
from infoplane.activations.file import ActivationsFile
from infoplane.activations.reduce import Reduction
from infoplane.config.plan import sites as declared_sites
from infoplane.models.build import build
from infoplane.models.residual import Match, Place, ResidualAddition
from infoplane.models.sites import reading, visited
from infoplane.options import Addition, Field, Shape, axes_of, image, vector
from infoplane.specs import ActivationsSpec, Plugin, TrainSpec
from infoplane.training import run_stack
from infoplane.training.run import train
from infoplane.training.stack import Stack

SHORTCUTS = registry.names("shortcut")
INVERTIBLE = ("momentum", "reversible")
"""Kinds that refuse a norm after the addition, and a change of shape."""
PAIRS = [
    (kind, norm)
    for kind in SHORTCUTS
    for norm in ("pre", "post", "peri", "none")
    if norm != "post" or kind not in INVERTIBLE
]
CPU = torch.device("cpu")

SQUARE: dict[str, Any] = {"width": 8, "blocks": 2, "kernel": 3}
"""Of a network for sounds of eight steps: as many channels as there are steps, so that to mix these is no error."""
SOUND, SOURCES = Field((1, 8), "ct", "float32"), Field((2, 8), "ct", "float32")


def shortcut(kind: str, place: Place) -> torch.nn.Module:
    plugin = registry.load("shortcut", kind)
    return plugin.Shortcut(plugin.Options() if hasattr(plugin, "Options") else None, place)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", SHORTCUTS)
@pytest.mark.parametrize("positions", [(6,), (6, 6), (6, 2, 3)], ids=["time", "image", "volume"])
@pytest.mark.parametrize("training", [False, True])
def test_channels_are_mixed_and_not_positions(kind: str, positions: tuple[int, ...], training: bool) -> None:
    """Six channels and six time steps: channels first or last is the same, position by position."""
    torch.manual_seed(0)
    first, last = (shortcut(kind, Place(6, axis, 1, 2)).train(training) for axis in (1, -1))
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.copy_(torch.randn_like(parameter))  # rezero starts at 0, and nothing would be seen of it
    last.load_state_dict(first.state_dict())
    x, f = torch.randn(2, 5, 6, *positions)
    found = []
    for module, moved in ((first, (x, f)), (last, (x.movedim(1, -1), f.movedim(1, -1)))):
        torch.manual_seed(1)
        s, f, memory = module.step(*moved, ())
        found.append((s, f, *memory))
    for one, other in zip(*found, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other.movedim(-1, 1), atol=1e-5), (
            "a shortcut mixes channels alone, which lie along place.channel_axis"
        )


def test_matching_keeps_every_second_position_of_time_and_of_images() -> None:
    x = torch.randn(2, 3, 8)
    assert torch.equal(Match(2, 1)(x), torch.cat([x[:, :, ::2], torch.zeros(2, 1, 4)], 1))
    image = torch.randn(2, 3, 8, 8)
    assert torch.equal(Match(2, 1)(image), torch.cat([image[:, :, ::2, ::2], torch.zeros(2, 1, 4, 4)], 1))


OF_IMAGES = [name for name in registry.names("architecture") if data_of(name).kind == "digits"]
ONE_DIMENSIONAL: dict[str, dict[str, Any]] = {"vit": {"patch": 1}, "mixer": {"patch": 1}}
"""Options with which an architecture takes one row of values."""


@pytest.mark.parametrize("kind", SHORTCUTS)
@pytest.mark.parametrize("architecture", OF_IMAGES)
def test_one_row_of_values_in_place_of_images(architecture: str, kind: str) -> None:
    """Every site is where it is declared, z is s + f, and everything is reached by a gradient."""
    options, fields = ONE_DIMENSIONAL.get(architecture, {}), (image(2, 1, 12), vector(5))
    network = build(Plugin(architecture, options), Plugin(kind), *fields, seed=0)
    places = registry.options_class("architecture", architecture)(**options).places(*fields)
    x = inputs(fields[0], 3)
    assert list(visited(network, x).items()) == list(declared_sites(places, Plugin(kind)).items())
    network.eval()
    with reading(network) as seen:
        logits = network(x)
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters() if p.requires_grad)
    for name in [name for name, module in network.named_modules() if isinstance(module, ResidualAddition)]:
        addition = network.get_submodule(name)
        total = seen[f"{name}.f"] + seen.get(f"{name}.s", 0)
        assert torch.allclose(addition.activation(addition.post_norm(total)), seen[f"{name}.z"], atol=1e-6)


def square(kind: str, **options: Any) -> torch.nn.Module:
    return build(Plugin("tcn", SQUARE | options), Plugin(kind), SOUND, SOURCES, seed=0).eval()


def shuffle_weights(network: torch.nn.Module) -> None:
    """Give every weight a value, also those that start at 0 or 1 and would not be seen to act."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize(("kind", "norm"), PAIRS)
def test_an_addition_of_channels_alone_treats_all_times_alike(kind: str, norm: str) -> None:
    """As many channels as steps, branches of length 1: what is shifted in time comes out shifted, and no less."""
    network = square(kind, norm=norm, kernel=1, layer_scale=0.5)
    shuffle_weights(network)
    x = inputs(SOUND)
    with torch.no_grad():
        once, shifted = network(x), network(x.roll(3, -1))
    assert once.shape == (4, 2, 8) and not torch.allclose(once, once.roll(1, -1), atol=1e-3)
    torch.testing.assert_close(shifted, once.roll(3, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "norm"), PAIRS)
def test_every_site_is_where_it_is_declared_and_z_is_a_sum(kind: str, norm: str) -> None:
    network = square(kind, norm=norm, kernel=3)
    places = registry.options_class("architecture", "tcn")(**SQUARE, norm=norm).places(SOUND, SOURCES)
    x = inputs(SOUND)
    assert list(visited(network, x).items()) == list(declared_sites(places, Plugin(kind)).items())
    with reading(network) as seen:
        answers = network(x)
    answers.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters() if p.requires_grad)
    for name in ("block1", "block2"):
        addition = network.get_submodule(name)
        assert isinstance(addition, ResidualAddition)
        total = seen[f"{name}.f"] + seen.get(f"{name}.s", 0)
        torch.testing.assert_close(addition.post_norm(total), seen[f"{name}.z"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_stages_halve_time_and_double_channels(kind: str) -> None:
    """Eight channels of eight steps, then sixteen of four, where a shortcut is given every second step."""
    network = build(Plugin("tcn", SQUARE | {"stages": 2}), Plugin(kind), SOUND, vector(3), seed=0).eval()
    with torch.no_grad(), reading(network) as seen:
        network(inputs(SOUND))
    assert seen["block2.z"].shape[1:] == (8, 8) and seen["block3.z"].shape[1:] == (16, 4)
    if kind == "identity":
        assert torch.equal(seen["block3.s"][:, :8], seen["block2.z"][:, :, ::2]) and not seen["block3.s"][:, 8:].any()


def test_a_frequency_is_a_channel() -> None:
    spectra = Field((2, 5, 8), "cft", "float32")
    network = build(Plugin("tcn", SQUARE), Plugin("identity"), spectra, vector(3), seed=0)
    assert network.get_parameter("stem.1.weight").shape == (8, 10, 3)
    assert network(inputs(spectra)).shape == (4, 3)


@pytest.mark.parametrize(
    ("input", "output", "options", "said"),
    [
        (image(1, 8, 8), vector(3), {}, r"expected channels x time or channels x frequency x time, got 1x8x8"),
        (SOUND, vector(3), {"stages": 5}, "5 stages divide time by 16, which 8 steps do not allow"),
        (SOUND, SOURCES, {"stages": 2}, "an answer at each time needs stages 1, got 2"),
        (SOUND, Field((2, 9), "ct", "float32"), {}, "the answer must be as long as the input, 8 steps, got 2x9"),
        (SOUND, image(1, 8, 8), {}, "the answer must be features, or channels x time, got 1x8x8"),
        (SOUND, SOURCES, {"blocks": 5}, "dilation 2 spreads the last kernel over 33 steps, of 8"),
    ],
)
def test_what_a_network_for_sound_refuses(input: Field, output: Field, options: dict[str, Any], said: str) -> None:
    declared = registry.options_class("architecture", "tcn")
    declared(blocks=2).check(SOUND, SOURCES)
    with pytest.raises(ValueError, match=said):
        declared(**{"blocks": 2} | options).check(input, output)


# Pooling


POOLED = [
    ((6, 12), "ct", (6, 3)),
    ((6, 12), "", (6, 12)),
    ((12, 6), "tc", (3, 6)),
    ((2, 5, 12), "cft", (2, 5, 3)),
    ((6, 8, 8), "chw", (6, 3, 3)),
    ((6, 1, 12), "chw", (6, 1, 3)),
    ((6, 2), "ct", (6, 2)),
    ((7,), "d", (7,)),
]
"""What is left of a site of this shape and these axes with three positions."""


@pytest.mark.parametrize(("shape", "axes", "expected"), POOLED)
def test_averages_are_taken_along_positions_and_nothing_else(
    shape: tuple[int, ...], axes: str, expected: tuple[int, ...]
) -> None:
    spec = ActivationsSpec(["*"], "float32", {"*": 3}, {}, 0, 0)
    reduction, values = Reduction("a.z", shape, axes, spec, CPU), torch.randn(4, *shape)
    found = reduction(values)
    assert found.shape == (4, *expected) == (4, *reduction.shape)
    by_hand = torch.empty(4, *expected)
    for place in product(*map(range, expected)):
        # the steps from floor(i size / left) to ceil((i + 1) size / left)
        parts = [
            slice(i * size // left, -(-(i + 1) * size // left))
            for i, size, left in zip(place, shape, expected, strict=True)
        ]
        by_hand[(slice(None), *place)] = values[(slice(None), *parts)].flatten(1).mean(1)
    torch.testing.assert_close(found, by_hand)


def test_a_projection_follows_the_average() -> None:
    spec = ActivationsSpec(["*"], "float32", {"*": 3}, {"*": 5}, 0, 0)
    reduction = Reduction("a.z", (6, 12), "ct", spec, CPU)
    assert reduction(torch.randn(4, 6, 12)).shape == (4, 5) and reduction.matrix is not None
    assert reduction.matrix.shape == (18, 5)


def test_axes_belong_to_every_size_and_to_every_part() -> None:
    with pytest.raises(ValueError, match=r"axes must name each size of \[3, 4\] by one letter, got 'c'"):
        Shape((3, 4), "c")
    assert axes_of((3, 4)) == axes_of(Shape((3, 4))) == "" and Addition((3, 4), "ct") == (3, 4)
    found = declared_sites({"block1": Addition((3, 4), "ct"), "logits": (5,)}, Plugin("reversible"))
    assert {name: (shape, shape.axes) for name, shape in found.items()} == {
        "block1.s": ((3, 4), "ct"),
        "block1.f": ((3, 4), "ct"),
        "block1.m": ((6, 4), "ct"),
        "block1.z": ((3, 4), "ct"),
        "logits.z": ((5,), ""),
    }


# Training


Splits = Callable[[str], dict[str, Path]]


def test_a_dump_is_pooled_along_time(splits_for: Splits, train_spec: Callable[..., TrainSpec], tmp_path: Path) -> None:
    splits, outputs = splits_for("tcn"), (tmp_path / "c", tmp_path / "h")
    train(train_spec("tcn"), splits["train"], splits["validation"], *outputs, tmp_path / "state", CPU)
    spec = ActivationsSpec(["*"], "float32", {"*": 4}, {}, 0, 0)
    dump(spec, outputs[0], splits["train"], splits["held_out"], tmp_path / "a", CPU)
    stored = {site.column: site.stored_shape for site in ActivationsFile(tmp_path / "a").sites}
    assert stored["stem.z"] == stored["block1.f"] == (4, 4) and stored["readout.z"] == (4,)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_stacked_seeds_are_their_solo_runs(
    kind: str, splits_for: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one call, with as many channels as steps in the second stage; `test_stacked` also has them in turn."""
    monkeypatch.setattr(run_stack, "Stack", partial(Stack, in_turn=False))
    learning = training(learning_rate=0.01, steps=3, log_every=3, batch_size=16)
    options: dict[str, Any] = {"blocks": 2} if kind in INVERTIBLE else {"blocks": 1, "stages": 2}
    architecture = Plugin("tcn", {"width": 8, "kernel": 1} | options)
    spec = TrainSpec(architecture, Plugin(kind), data_of("tcn").task, learning, 0)
    compared(spec, splits_for("tcn"), tmp_path)
