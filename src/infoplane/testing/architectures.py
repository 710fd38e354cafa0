"""What is asked of an architecture."""

from collections.abc import Iterator
from itertools import product

import torch

from infoplane import plugin_files, registry
from infoplane.models.build import build
from infoplane.models.residual import ResidualAddition
from infoplane.models.sites import depths, reading, sites, visited
from infoplane.options import ResidualOptions
from infoplane.specs import Plugin
from infoplane.testing import networks
from infoplane.testing.candidate import INPUTS, Candidate, Rule, samples, served

IDENTITY = Plugin("identity")


def serves_some_input(candidate: Candidate) -> None:
    """Options stands on ResidualOptions, and check(input, output) accepts pictures, sound or points."""
    assert issubclass(candidate.declared, ResidualOptions), "Options must be a ResidualOptions"
    assert list(served(candidate.name, candidate.options)), (
        f"check accepts none of {', '.join(map(str, INPUTS))}, neither with 5 numbers to answer nor with their like"
    )


def trains_with_every_shortcut(candidate: Candidate) -> None:
    """Answers are finite, of the output's shape, and a gradient reaches every weight."""
    for shortcut, (input, output) in product(_shortcuts(), served(candidate.name, candidate.options)):
        networks.trains(candidate.plugin, shortcut, input, output)


def adds_with_every_shortcut(candidate: Candidate) -> None:
    """Additions are made by ``add``: z is the activation of s + f."""
    for shortcut, (input, output) in product(_shortcuts(), served(candidate.name, candidate.options)):
        networks.adds(candidate.plugin, shortcut, input, output)


def visits_the_places_that_it_declares(candidate: Candidate) -> None:
    """The workflow knows every site, in order, and its shape, without building the network."""
    for shortcut, (input, output) in product(_shortcuts(), served(candidate.name, candidate.options)):
        networks.is_where_it_is_declared(candidate.plugin, shortcut, input, output)


def starts_from_the_seed_alone(candidate: Candidate) -> None:
    """One seed gives the same weights whatever was drawn before, another seed gives others."""
    for input, output in served(candidate.name, candidate.options):
        first = build(candidate.plugin, Plugin("gated"), input, output, 1).state_dict()
        torch.randn(3)
        again, other = (
            build(candidate.plugin, Plugin("gated"), input, output, seed).state_dict() for seed in (1, 2)
        )  # fmt: skip
        for name, weights in first.items():
            assert torch.equal(weights, again[name]), f"{name} is not the same for the same seed"
            if name.endswith("weight") and weights.ndim > 1:
                assert not torch.equal(weights, other[name]), f"{name} is the same for another seed"


def runs_from_the_stem_to_the_answer(candidate: Candidate) -> None:
    """The first site is stem.z or block1.s, the last one logits.z or output.z; training mode is left as it was."""
    for input, output in served(candidate.name, candidate.options):
        network = build(candidate.plugin, IDENTITY, input, output, networks.SEED)
        shapes = visited(network, samples(input, 2))
        assert network.training
        assert set(shapes) == set(sites(network)), f"never visited: {set(sites(network)) - set(shapes)}"
        names = list(shapes)
        assert names[0] in ("stem.z", "block1.s"), "the first site is stem.z, or block1.s where there is no stem"
        assert names[-1] == "output.z" or (names[-1] == "logits.z" and output.axes == "d"), (
            "the last site is logits.z, of scores of classes, or output.z"
        )
        assert shapes[names[-1]] == output.shape, "the last site has the shape of the output"
        depth = depths(names)
        assert depth[names[0]] == 0
        assert all(depth[name] == depth[f"{name[:-1]}z"] for name in names)
        assert sorted(set(depth.values())) == list(range(sum(name.endswith(".z") for name in names)))


def normalises_where_it_is_told(candidate: Candidate) -> None:
    """The option norm decides whether the branch's input, its output, or the sum is normalised."""
    for norm in ("pre", "post", "peri", "none"):
        architecture = Plugin(candidate.name, candidate.options | {"norm": norm})
        for input, output in served(candidate.name, architecture.options):
            network = build(architecture, IDENTITY, input, output, networks.SEED)
            addition: ResidualAddition = next(iter(networks.additions(network).values()))
            there = (addition.pre_norm, addition.branch_norm, addition.post_norm)
            wanted = (norm in ("pre", "peri"), norm == "peri", norm == "post")
            found = tuple(not isinstance(one, torch.nn.Identity) for one in there)
            assert found == wanted, f"norm '{norm}': give add(..., norm=) what makes a norm of so many channels"
            assert torch.isfinite(network(samples(input))).all()


def starts_as_its_shortcuts_with_branch_gain_0(candidate: Candidate) -> None:
    """With branch_gain 0 every branch is 0 before training: its last layer with weights is its output."""
    for norm in ("pre", "peri"):
        options = candidate.options | {"branch_gain": 0.0, "post_activation": "none", "norm": norm}
        for input, output in served(candidate.name, options):
            network = build(Plugin(candidate.name, options), IDENTITY, input, output, networks.SEED).eval()
            with torch.no_grad(), reading(network) as seen:
                network(samples(input))
            for name in networks.additions(network):
                assert not seen[f"{name}.f"].any(), f"{name}: the last layer with weights in a branch is its output"
                assert torch.equal(seen[f"{name}.z"], seen[f"{name}.s"])


def _shortcuts() -> Iterator[Plugin]:
    """The kinds of this package."""
    for name in registry.names("shortcut"):
        if registry.source("shortcut", name).is_relative_to(plugin_files.PACKAGE):
            yield Plugin(name)


RULES: tuple[Rule, ...] = (
    serves_some_input,
    trains_with_every_shortcut,
    adds_with_every_shortcut,
    visits_the_places_that_it_declares,
    starts_from_the_seed_alone,
    runs_from_the_stem_to_the_answer,
    normalises_where_it_is_told,
    starts_as_its_shortcuts_with_branch_gain_0,
)
