"""A step of a stack never waits for the device: nothing in it asks for a value, so it could be captured as a graph."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from stacked_runs import CPU, Make, stack_of
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from infoplane import registry
from infoplane.data.samples import read_split
from infoplane.training.stack import Stack

ASKING_METHODS = {"item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__"}
ASKING_OPERATIONS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "unique_dim"}
"""On a GPU each of these waits until everything before it is computed."""


class Calls(TorchFunctionMode):
    """Methods of tensors that read values; on a CPU not all of them reach the dispatcher."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (name := getattr(func, "__name__", "")) in ASKING_METHODS:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """What PyTorch itself does below the methods, an index by a mask (whose size is a value) among it."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put_", "index_put") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in ASKING_OPERATIONS or masks:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def watching() -> Iterator[list[str]]:
    """Fills the yielded list with what waited within the block."""
    found: list[str] = []
    with Calls(found), Operations(found):
        yield found


@pytest.fixture
def stack(splits_for: Callable[[str], dict[str, Path]], train_spec: Make) -> Callable[..., Stack]:
    """A stack that has made two steps, after which its optimiser has all of its state."""

    def make(*spec: str, **training: object) -> Stack:
        splits = splits_for(spec[0])
        images, validation = read_split(splits["train"]), read_split(splits["validation"])
        made = Stack(stack_of(train_spec(*spec, **training)), images, validation, CPU, in_turn=False)
        for step in range(2):
            made.update(step, 0.01, False)
        return made

    return make


@pytest.mark.parametrize("architecture", registry.names("architecture"))
@pytest.mark.parametrize("shortcut", ["gated", "stochastic_depth"])
def test_a_step_asks_for_no_value(architecture: str, shortcut: str, stack: Callable[..., Stack]) -> None:
    made = stack(architecture, shortcut)
    with watching() as found:
        made.update(2, 0.01, False)
    assert not found


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_nor_does_an_optimiser(optimizer: str, precision: str, stack: Callable[..., Stack]) -> None:
    made = stack("resnet", optimizer=optimizer, precision=precision)
    with watching() as found:
        made.update(2, 0.01, False)
    assert not found


class Names(TorchDispatchMode):
    """Which operations were called."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("architecture", registry.names("architecture"))
def test_a_step_of_many_makes_the_calls_of_a_step_of_few(
    architecture: str, train_spec: Make, splits_for: Callable[[str], dict[str, Path]]
) -> None:
    splits = splits_for(architecture)
    images, validation = read_split(splits["train"]), read_split(splits["validation"])
    made = []
    for seeds in ([1, 2], [1, 2, 3, 4, 5]):
        stack = Stack(stack_of(train_spec(architecture), seeds), images, validation, CPU, in_turn=False)
        stack.update(0, 0.01, False)
        with Names() as names:
            stack.update(1, 0.01, False)
        del names.found["slice"], names.found["detach"]  # views; each member cuts its batch out of its own order
        made.append(names.found)
    assert made[0] == made[1]
    blocks = 2 * 2 + 1  # of two convolutions each, and the stem
    assert architecture != "resnet" or (made[0]["convolution"], made[0]["native_batch_norm"]) == (blocks, blocks)


def test_what_asks_is_seen(stack: Callable[..., Stack]) -> None:
    made = stack("resnet")
    with watching() as found:
        made.update(2, 0.01, True)  # norms are read
        made.evaluate()
    assert "tolist" in found
    values = torch.arange(3.0)
    for ask in (
        lambda: float(values[0]),
        lambda: values[values > 1],
        lambda: values.nonzero(),
        lambda: bool(values[0]),
    ):
        with watching() as found:
            ask()
        assert found
