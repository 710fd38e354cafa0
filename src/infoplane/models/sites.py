"""Named places at which a network's representation is read.

A `Site` is an identity module; its name is its path in the network and ends with its part: ``block3.s`` (shortcut),
``block3.f`` (branch), ``block3.z`` (sum), or ``stem.z``, ``readout.z``, ``logits.z`` outside additions. Reading is
done by forward hooks, so training pays nothing for it.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Site(nn.Module):
    """Pass the input on unchanged; a place in the network that has a name and can be read."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def sites(network: nn.Module) -> dict[str, Site]:
    """Every site of a network by name, in order of definition."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Site)}


@contextlib.contextmanager
def reading(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Within the block, every forward pass fills the yielded dict with each visited site's tensor, in order of visit.

    A site that is never visited (the shortcut of kind ``none``) does not appear.
    """
    seen: dict[str, Tensor] = {}

    def hook(name: str):  # type: ignore[no-untyped-def]
        def read(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = output.detach()

        return read

    handles = [site.register_forward_hook(hook(name)) for name, site in sites(network).items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def visited(network: nn.Module, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Site name -> shape of one sample's activation, in order of visit, from one forward pass in evaluation mode.

    ``images``: inputs of any shape, (n, ...). The network's mode is restored.
    """
    training = network.training
    network.eval()
    with torch.no_grad(), reading(network) as seen:
        network(images)
    network.train(training)
    return {name: tuple(value.shape[1:]) for name, value in seen.items()}


def depths(names: list[str]) -> dict[str, int]:
    """Site name -> depth: sites in order of visit, where ``s`` and ``f`` share the depth of the sum that follows."""
    depth, found = 0, {}
    for name in names:
        found[name] = depth
        depth += name.endswith(".z")
    return found
