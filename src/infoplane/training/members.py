"""How the members of a stack compute: all of them in one call, or one after the other.

In one call (together) every operation is made once for all members; convolutions become grouped ones, and the
channels of all members lie side by side, (n, members x C, ...), so that neither they nor BatchNorm copy anything.
That is the way wherever a step's time goes into making calls: small networks, and GPUs. On a CPU a convolution over
neighbouring pixels is arithmetic, and oneDNN's grouped convolutions take 1.3 to 1.8 times as long as as many
single ones; there the members compute in turn, in the layout of the solo run, and share the rest of the step.
"""

import contextlib
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from infoplane.models.draws import from_generators
from infoplane.training.learner import step_seed


def convolves(network: nn.Module) -> bool:
    """Whether a network has convolutions whose windows overlap; cutting an image into patches is a matrix product."""
    return any(
        isinstance(module, nn.Conv1d | nn.Conv2d) and module.kernel_size != module.stride
        for module in network.modules()
    )


class Members:
    """The forward pass of networks that differ in their tensors alone."""

    def __init__(
        self,
        network: nn.Module,
        seeds: Sequence[int],
        device: torch.device,
        in_turn: bool | None = None,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """network: any of them; in_turn: None where the device and the network decide which way is faster.

        layout: how the inputs of one network that learns on its own lie in memory.
        """
        self.seeds, self.convolutional, self.layout = seeds, convolves(network), layout
        self.in_turn = self.convolutional and device.type == "cpu" if in_turn is None else in_turn
        self.axis = 1 if self.convolutional and not self.in_turn else 0
        """Of inputs (n, members, C, ...) or (members, n, C, ...): where the members are."""
        self.generators = [torch.Generator(device) for _ in seeds]
        self.learning = copy.deepcopy(network)
        """What is computed, in training and (`reading`) in evaluation; their own tensors are never used."""
        self.reading = copy.deepcopy(self.learning).eval()

    def learn(self, tensors: dict[str, Tensor], images: Tensor, step: int) -> Tensor:
        """Logits (members, n, classes) in training; what is drawn at random, each member draws as if alone.

        tensors: the members' state dicts, stacked, of which BatchNorm's statistics are brought up to date.
        """
        seeds = [step_seed(seed, step) for seed in self.seeds]
        if self.in_turn:
            return self._in_turn(self.learning, tensors, list(images), seeds)
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)
        with from_generators(self.generators):
            return self._together(self.learning, tensors, images, self.axis)

    def read(self, tensors: dict[str, Tensor], images: Tensor) -> Tensor:
        """The same in evaluation, of inputs (n, C, ...) that all members see."""
        if self.in_turn:
            return self._in_turn(self.reading, tensors, [images] * len(self.seeds), None)
        return self._together(self.reading, tensors, images, None)

    def _together(self, network: nn.Module, tensors: dict[str, Tensor], images: Tensor, axis: int | None) -> Tensor:
        def one(weights: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(network, weights, (x,))

        with contextlib.ExitStack() as within:
            within.enter_context(sdpa_kernel(SDPBackend.MATH))  # the one attention that can be batched over members
            if self.convolutional:
                within.enter_context(_ChannelsSideBySide())
            return vmap(one, (0, axis))(tensors, images)

    def _in_turn(
        self, network: nn.Module, tensors: dict[str, Tensor], images: Sequence[Tensor], seeds: Sequence[int] | None
    ) -> Tensor:
        apart = {name: value.unbind() for name, value in tensors.items()}  # whose gradients are one call to stack
        logits = []
        for member, x in enumerate(images):
            if seeds is not None:
                torch.manual_seed(seeds[member])
            weights = {name: values[member] for name, values in apart.items()}
            logits.append(functional_call(network, weights, (x.contiguous(memory_format=self.layout),)))
        return torch.stack(logits)


OF_CONVOLUTION = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
CONVOLUTIONS = torch.conv1d, torch.conv2d
DEFAULTS: dict[Callable[..., Tensor], dict[str, Any]] = {
    **dict.fromkeys(CONVOLUTIONS, OF_CONVOLUTION),
    F.batch_norm: {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5},
}
"""What may be left out after the positional arguments: two of a convolution, three in `batch_norm`."""


class _ChannelsSideBySide(TorchFunctionMode):
    """Within the block, convolutions and BatchNorms of members are one call each, on (n, members x C, ...).

    PyTorch's own rules for members leave out autocast in convolutions, and scale and shift in calls of their own.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in DEFAULTS:
            options = DEFAULTS[func] | (kwargs or {})
            given = len(args) - (2 if func in CONVOLUTIONS else 3)
            return _OfMembers.apply(func, *args, *list(options.values())[given:])
        return func(*args, **(kwargs or {}))


class _OfMembers(torch.autograd.Function):
    """A convolution or a BatchNorm; a separate function, because only such functions learn that there are members."""

    @staticmethod
    def forward(func: Callable[..., Tensor], *args: Any) -> Tensor:
        return func(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: within `vmap` PyTorch differentiates what is computed there."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, func: Callable[..., Tensor], x: Tensor, *args: Any) -> tuple[Tensor, int]:
        members, axis = info.batch_size, in_dims[1]
        x = x.unsqueeze(1).expand(-1, members, *x.shape[1:]) if axis is None else x.movedim(axis, 1)
        rest = [
            value.movedim(dim, 0).flatten(0, 1) if isinstance(value, Tensor) else value  # (members x C, ...)
            for value, dim in zip(args, in_dims[2:], strict=True)
        ]
        if func in CONVOLUTIONS:
            rest[-1] *= members  # groups
        return func(x.flatten(1, 2), *rest).unflatten(1, (members, -1)), 1
