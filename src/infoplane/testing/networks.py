"""What is asked of a network, whichever architecture and shortcut kind it is made of."""

import torch
from torch import Tensor, nn

from infoplane import registry
from infoplane.config.plan import sites as declared_sites
from infoplane.models.build import build
from infoplane.models.residual import ResidualAddition
from infoplane.models.sites import reading, visited
from infoplane.options import Field
from infoplane.specs import Plugin
from infoplane.testing.candidate import samples

SEED = 0


def additions(network: nn.Module) -> dict[str, ResidualAddition]:
    """The residual additions of a network, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, ResidualAddition)}


def trains(architecture: Plugin, shortcut: Plugin, input: Field, output: Field) -> None:
    """Assert that answers are finite and of the declared shape, and that a gradient reaches every weight."""
    network = build(architecture, shortcut, input, output, SEED)
    answers = network(samples(input))
    assert answers.shape == (4, *output.shape), (
        f"forward gives {tuple(answers.shape)} for 4 samples: expected {(4, *output.shape)}"
    )
    answers.square().mean().backward()
    assert torch.isfinite(answers).all(), "forward gives NaN or infinity"
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), f"{name} has no finite gradient"


def adds(architecture: Plugin, shortcut: Plugin, input: Field, output: Field) -> None:
    """Assert that z is the activation of s + f at every addition, and that the declared parts are there."""
    network = build(architecture, shortcut, input, output, SEED).eval()
    with torch.no_grad(), reading(network) as seen:
        network(samples(input))
    made = additions(network)
    assert made, "the network has no residual addition: make one by add(branch, features)"
    parts = registry.parts(shortcut.kind)
    for name, addition in made.items():
        missing: float | Tensor = 0.0
        total = addition.activation(addition.post_norm(seen[f"{name}.f"] + seen.get(f"{name}.s", missing)))
        assert torch.allclose(total, seen[f"{name}.z"], atol=1e-6), f"{name}: z is not s + f"
        assert (f"{name}.s" in seen) == ("s" in parts), f"{name}: PARTS says {parts}, and s is None where it must not"


def is_where_it_is_declared(architecture: Plugin, shortcut: Plugin, input: Field, output: Field) -> None:
    """Assert that ``Options.places`` names every site in the order of visits, with its shape."""
    options = registry.options_class("architecture", architecture.kind)(**architecture.options)
    network = build(architecture, shortcut, input, output, SEED)
    found = visited(network, samples(input, 2))
    declared = declared_sites(options.places(input, output), shortcut)
    assert list(found.items()) == list(declared.items()), (
        f"Options.places names every site in order: it says {declared}, the network visits {found}"
    )
