"""What a residual addition can choose, and which shortcut kinds and options are refused together."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import OPTIONS, additions, images, network
from torch import Tensor

from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.models.residual import Kind
from infoplane.models.sites import reading

# What a residual addition can choose


@pytest.mark.parametrize("architecture", OPTIONS)
def test_peri_norm_normalises_input_and_output_of_the_branch(architecture: str) -> None:
    ours = network(architecture, "identity", {"norm": "peri"}).train()
    axes = (0, 2, 3) if architecture == "resnet" else (-1,)
    with reading(ours) as seen:
        ours(images(16))
    found = [seen[name] for name in seen if name.endswith(".f")]
    assert found
    for f in found:
        assert f.mean(axes).abs().max() < 1e-4
        deviation = f.std(axes, correction=0)
        torch.testing.assert_close(deviation, torch.ones_like(deviation), rtol=0, atol=0.1)


@pytest.mark.parametrize("architecture", OPTIONS)
def test_a_gain_multiplies_what_the_branch_starts_as(architecture: str) -> None:
    """The last layer is linear, or a norm: twice the weights and biases, twice the branch; the first is compared."""
    more = {"activation": "linear"} if architecture in ("mlp", "tapered_mlp") else {}
    found = []
    for gain in (1.0, 2.0):
        ours = network(architecture, "identity", more | {"branch_gain": gain}).eval()
        with torch.no_grad(), reading(ours) as seen:
            ours(images())
        found.append(next(seen[name] for name in seen if name.endswith(".f")))
    torch.testing.assert_close(found[1], 2 * found[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", OPTIONS)
def test_a_factor_per_channel_of_the_branch(architecture: str) -> None:
    found = []
    for scale in (0.0, 0.25):
        ours = network(architecture, "identity", {"layer_scale": scale}).eval()
        with torch.no_grad(), reading(ours) as seen:
            ours(images())
        found.append(next(seen[name] for name in seen if name.endswith(".f")))
        learned = [p for name, p in ours.named_parameters() if name.endswith("scale.factors")]
        assert len(learned) == (len(additions(ours)) if scale else 0)
    torch.testing.assert_close(found[1], 0.25 * found[0])


def test_values_of_the_first_attention() -> None:
    """ResFormer: attention mixes (V_1 + V_l) / 2; the first attention is as it was."""
    own, first = (network("vit", "identity", {"values": values}).eval() for values in ("own", "first"))
    first.load_state_dict(own.state_dict())
    made: dict[str, dict[str, Tensor]] = {}
    for label, one in (("own", own), ("first", first)):
        with torch.no_grad(), reading(one) as seen:
            one(images())
        made[label] = dict(seen)
    assert torch.equal(made["own"]["block1_attention.f"], made["first"]["block1_attention.f"])
    assert not torch.allclose(made["own"]["block2_attention.f"], made["first"]["block2_attention.f"])
    with torch.no_grad():
        values = []
        for block, x in ((1, made["first"]["stem.z"]), (2, made["first"]["block1_mlp.z"])):
            addition = first.get_submodule(f"block{block}_attention")
            q, k, v = addition.branch.qkv(addition.pre_norm(x)).chunk(3, -1)
            values.append(v)
            q, k, mixed = (one.unflatten(-1, (2, 4)).transpose(1, 2) for one in (q, k, (values[0] + v) / 2))
            output = F.scaled_dot_product_attention(q, k, mixed).transpose(1, 2).flatten(2)
            expected = addition.branch.output(output)
            torch.testing.assert_close(made["first"][f"block{block}_attention.f"], expected, rtol=1e-5, atol=1e-6)


def test_a_pass_that_fails_leaves_no_values_behind() -> None:
    first = network("vit", "identity", {"values": "first"}).eval()
    with torch.no_grad():
        expected = first(images())
        with (
            first.get_submodule("block2_mlp").register_forward_pre_hook(lambda *_: 1 / 0),
            pytest.raises(ZeroDivisionError),
        ):
            first(-images())
        assert torch.equal(first(images()), expected)


# What is refused


def config(shortcut: dict[str, Any], architecture: dict[str, Any]) -> dict[str, Any]:
    return {
        "experiment": "bad",
        "data": {"kind": "digits"},
        "architectures": {"net": architecture},
        "shortcuts": {"it": shortcut},
        "measures": {"linear": None},
    }


MLP, CNN = {"kind": "mlp"}, {"kind": "resnet", "post_activation": "none"}
REFUSED = [
    ({"kind": "hyper", "streams": 1}, MLP, r"shortcuts\.it.*streams must be from 2 to 64, got 1"),
    ({"kind": "decayed", "final": -0.1}, MLP, r"shortcuts\.it.*final must be from 0 to 1, got -0\.1"),
    ({"kind": "momentum", "gamma": 1.0}, MLP, r"gamma must be above 0 and below 1, got 1\.0"),
    ({"kind": "reversible"}, {"kind": "resnet"}, r"shortcuts\.it with architectures\.net: .* and .* relu"),
    ({"kind": "momentum"}, MLP | {"norm": "post"}, r"norm must be pre, peri or none, .* got norm post"),
    ({"kind": "reversible"}, CNN | {"stages": 2}, r"changes the shape, here 16x8x8 to 32x4x4, cannot be undone"),
    ({"kind": "momentum"}, {"kind": "tapered_mlp"}, r"changes the shape, here 10 to 7, cannot be undone"),
    ({"kind": "revrsible"}, MLP, r"unknown shortcut 'revrsible': did you mean 'reversible'"),
    ({"kind": "hyper", "mixing": "sinkhorn"}, MLP, r"mixing.*free.*sinkhorn"),
    ({"kind": "identity"}, MLP | {"zero_init": True}, r"'zero_init: true' is 'branch_gain: 0'"),
    ({"kind": "identity"}, MLP | {"norm": "perri"}, r"architectures\.net\.norm"),
]  # fmt: skip


@pytest.mark.parametrize(("shortcut", "architecture", "said"), REFUSED)
def test_what_does_not_go_together_is_one_sentence(
    shortcut: dict[str, Any], architecture: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said) as found:
        load(config(shortcut, architecture))
    assert "\n" not in str(found.value)


def test_what_goes_together_is_planned_with_its_state() -> None:
    plan = load(config({"kind": "hyper", "streams": 3}, CNN | {"stages": 2, "blocks": 1}))
    sites = plan.sites("net", "it")
    assert sites["block1.m"] == (48, 8, 8) and sites["block2.m"] == (96, 4, 4)
    assert list(sites)[:5] == ["stem.z", "block1.s", "block1.f", "block1.m", "block1.z"]
    assert all(isinstance(one.shortcut, Kind) for one in additions(network("mlp", "hyper")))
