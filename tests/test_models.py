"""Every architecture with every shortcut kind; what each kind promises."""

import ast
from typing import Any

import pytest
import torch
from fitting import data_of, inputs

from infoplane import registry
from infoplane.config.plan import sites as declared_sites
from infoplane.errors import UserError
from infoplane.models.batchnorm import recalibrated
from infoplane.models.build import build
from infoplane.models.pointwise import PointwiseLinear
from infoplane.models.residual import Place
from infoplane.models.sites import reading, visited
from infoplane.options import ResidualOptions, image, vector
from infoplane.specs import Plugin

SHAPE = (3, 8, 8)
ARCHITECTURES = registry.names("architecture")
SHORTCUTS = registry.names("shortcut")
SIZES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ARCHITECTURES),
    ("resnet", {"width": 6, "blocks": 2, "stages": 3, "stem_pool": 2}),
    ("vit", {"pool": "cls", "dim": 12, "heads": 2, "patch": 4}),
    ("mixer", {"dim": 12, "patch": 4, "blocks": 1}),
    ("mlp", {"width": 5, "blocks": 3, "layers_per_branch": 1}),
    ("tapered_mlp", {"widths": (7, 3)}),
    ("tcn", {"width": 6, "blocks": 2, "stages": 3}),
]
"""Options that change what there is to be read."""


def images(n: int = 4) -> torch.Tensor:
    return inputs(image(*SHAPE), n)


def network(architecture: str, kind: str = "identity", seed: int = 0, **options: Any) -> torch.nn.Module:
    """One for the data that the architecture is tested with."""
    return build(Plugin(architecture, options), Plugin(kind), *data_of(architecture).fields, seed)


def given(architecture: str, n: int = 4) -> torch.Tensor:
    return inputs(data_of(architecture).fields[0], n)


def shortcut(kind: str, place: Place, **options: object) -> torch.nn.Module:
    plugin = registry.load("shortcut", kind)
    return plugin.Shortcut(plugin.Options(**options) if hasattr(plugin, "Options") else None, place)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", SHORTCUTS)
@pytest.mark.parametrize(("architecture", "options"), SIZES)
def test_declared_places_are_those_that_are_visited(architecture: str, kind: str, options: dict[str, Any]) -> None:
    """What the workflow knows of a network without building it: every site, in order, and its shape."""
    declared = registry.options_class("architecture", architecture)
    fields = data_of(architecture).fields
    if data_of(architecture).kind == "digits":
        fields = image(3, 8, 16), vector(5)  # not square
    made = build(Plugin(architecture, options), Plugin(kind), *fields, seed=0)
    found = visited(made, inputs(fields[0], 2))
    places = declared(**options).places(*fields)
    assert list(found.items()) == list(declared_sites(places, Plugin(kind)).items()), (
        "Options.places names every site in order"
    )


def test_parts_are_all_or_all_but_the_shortcut(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(registry._written.cache_clear)
    assert {kind for kind in SHORTCUTS if registry.parts(kind) != ("s", "f", "z")} == {"none"}
    for wrong in ('("z", "f")', '("s", "z")', '"fz"', "()"):
        registry._written.cache_clear()
        monkeypatch.setattr(registry, "_tree", lambda path, wrong=wrong: ast.parse(f"PARTS = {wrong}"))
        with pytest.raises(UserError, match=r"identity\.py: PARTS is .*: expected \('f', 'z'\)"):
            registry.parts("identity")


def test_resnet_stages_halve_and_double() -> None:
    options = {"width": 4, "blocks": 2, "stages": 3, "stem_pool": 2}
    for kind in SHORTCUTS:
        shapes = visited(build(Plugin("resnet", options), Plugin(kind), image(*SHAPE), vector(5), seed=0), images(2))
        assert shapes["block2.z"] == (4, 4, 4)
        assert shapes["block3.z"] == (8, 2, 2)
        assert shapes["block6.z"] == (16, 1, 1)


PLACES = [Place(6, -1, 1, 2), Place(6, 1, 1, 2), Place(6, 1, 1, 2)]
INPUTS = [torch.randn(5, 7, 6), torch.randn(5, 6, 3, 3), torch.randn(5, 6, 6)]


@pytest.mark.parametrize(("place", "x"), list(zip(PLACES, INPUTS, strict=True)))
def test_what_each_kind_adds(place: Place, x: torch.Tensor) -> None:
    f = torch.randn_like(x)
    s, g = shortcut("identity", place)(x, f)
    assert s is x and g is f
    s, g = shortcut("none", place)(x, f)
    assert s is None and g is f
    s, g = shortcut("scaled", place, alpha=0.25)(x, f)
    assert torch.equal(s, 0.25 * x) and g is f
    s, g = shortcut("rezero", place)(x, f)
    assert s is x and not g.any()
    s, g = shortcut("projection", place, init="identity")(x, f)
    assert torch.allclose(s, x, atol=1e-6)
    gated = shortcut("gated", place, bias=-50.0)
    s, g = gated(x, f)
    assert torch.allclose(s, x, atol=1e-5) and torch.allclose(g, torch.zeros_like(g), atol=1e-5)
    dense = shortcut("dense", place)
    both = torch.cat([x, f], dim=place.channel_axis)
    weight = torch.cat([dense.from_x.weight, dense.from_f.weight], dim=1)
    expected = torch.movedim(torch.movedim(both, place.channel_axis, -1) @ weight.T, -1, place.channel_axis)
    assert torch.allclose(sum(dense(x, f)), expected, atol=1e-5)


def test_orthogonal_projection_is_frozen_and_keeps_norms() -> None:
    module = shortcut("projection", PLACES[0], init="orthogonal")
    assert not any(p.requires_grad for p in module.parameters())
    s, _ = module(INPUTS[0], INPUTS[0])
    assert torch.allclose(s.norm(dim=-1), INPUTS[0].norm(dim=-1), atol=1e-4)


def test_stochastic_depth_keeps_the_mean_and_drops_whole_samples() -> None:
    module = shortcut("stochastic_depth", Place(6, -1, 1, 1), survival=0.5)
    f = torch.ones(4000, 6)
    torch.manual_seed(0)
    _, dropped = module(f, f)
    assert set(dropped.unique().tolist()) == {0.0, 1.0}
    assert (dropped == dropped[:, :1]).all()
    assert abs(float(dropped.mean()) - 0.5) < 0.05
    module.eval()
    assert torch.equal(module(f, f)[1], 0.5 * f)


def test_pointwise_linear_is_the_same_map_for_tokens_and_feature_maps() -> None:
    tokens = torch.randn(2, 9, 6)
    over_tokens, over_maps = PointwiseLinear(6, -1), PointwiseLinear(6, 1)
    over_maps.load_state_dict(over_tokens.state_dict())
    maps = tokens.transpose(1, 2).reshape(2, 6, 3, 3)
    assert torch.allclose(over_maps(maps).flatten(2).transpose(1, 2), over_tokens(tokens), atol=1e-6)


def test_recalibrated_batchnorm_normalises_its_samples_and_leaves_the_network_alone() -> None:
    network = build(Plugin("resnet", {"width": 4, "blocks": 1}), Plugin("none"), image(*SHAPE), vector(5), seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = 5 + 3 * images(64)
    reader = recalibrated(network, x)
    assert not reader.training and network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with torch.no_grad():
        normed = reader.stem[1](reader.stem[0](x))
    assert normed.mean().abs() < 1e-3 and abs(float(normed.var()) - 1) < 0.02


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown shortcut 'identty': did you mean 'identity'"):
        registry.load("shortcut", "identty")


def test_residual_options_are_what_additions_stand_on() -> None:
    for name in ARCHITECTURES:
        assert issubclass(registry.load("architecture", name).Options, ResidualOptions)


def test_a_tapered_mlp_without_shortcuts_is_the_plain_one() -> None:
    """12-10-7-5-4-3-2 with tanh, computed by hand; weights cut at two deviations, biases 0."""
    network = build(Plugin("tapered_mlp"), Plugin("none"), image(1, 1, 12), vector(2), seed=0)
    x = torch.randn(5, 1, 1, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), reading(network) as seen:
        logits = network(x)
    z, state = x.flatten(1), network.state_dict()
    layers = [f"block{index}.branch.0" for index in range(1, 6)] + ["logits.0"]
    assert [state[f"{layer}.weight"].shape for layer in layers] == [(10, 12), (7, 10), (5, 7), (4, 5), (3, 4), (2, 3)]
    assert sum(parameter.numel() for parameter in network.parameters()) == sum(state[name].numel() for name in state)
    for layer in layers:
        weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
        assert not bias.any() and weight.abs().max() <= 2 / weight.shape[1] ** 0.5
        z = z @ weight.T
        z = z if layer == "logits.0" else z.tanh()
        assert torch.allclose(seen[f"{layer.split('.')[0]}.z"], z, atol=1e-6)
    assert torch.equal(seen["logits.z"], logits)
    wide = build(Plugin("tapered_mlp", {"widths": [4000]}), Plugin("none"), image(1, 1, 12), vector(2), seed=0)
    deviation = wide.get_parameter("block1.branch.0.weight").detach().std() * 12**0.5
    assert float(deviation) == pytest.approx(0.8796, abs=0.01)  # of a normal that is cut at two deviations


def test_a_tapered_mlp_cuts_or_fills_what_its_shortcuts_carry() -> None:
    network = build(Plugin("tapered_mlp", {"widths": [3, 5]}), Plugin("identity"), image(1, 1, 4), vector(2), seed=0)
    x = torch.arange(4.0).view(1, 1, 1, 4)
    with torch.no_grad(), reading(network) as seen:
        network(x)
    assert torch.equal(seen["block1.s"], x.view(1, 4)[:, :3])
    assert torch.equal(seen["block2.s"][:, :3], seen["block1.z"]) and not seen["block2.s"][:, 3:].any()
