"""What a plug-in's ``Options`` may stand on: pure Python, so that the workflow can read it without torch.

Every field is ``name: Annotated[type, "one line for the reader"] = default``. ``__post_init__`` checks the
fields against each other; ``check(shape)`` (architectures) checks them against the images.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin

Shape = tuple[int, int, int]
"""Channels, height, width of one image."""

Places = dict[str, tuple[int, ...]]
"""Name of each place at which a network is read -> shape of one sample's activation there, in order of visit."""


class Addition(tuple[int, ...]):
    """The same shape at a residual addition, which is read at several parts: the shortcut, the branch, their sum."""

    __slots__ = ()


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_patches(patch: int, shape: Shape) -> None:
    """Raise ``ValueError`` unless square patches of this side tile the image exactly."""
    _, height, width = shape
    require(patch >= 1, f"patch must be at least 1, got {patch}")
    require(
        height % patch == 0 and width % patch == 0,
        f"patch {patch} does not divide the images' height and width, {height}x{width}",
    )


def count_patches(patch: int, shape: Shape) -> int:
    """How many square patches of this side an image has."""
    return (shape[1] // patch) * (shape[2] // patch)


MOST_LAYERS = 5000
"""More blocks or stages than any network has; a slip of the key would otherwise keep the workflow busy for hours."""


def require_layers(options: object, *names: str) -> None:
    """Raise ``ValueError`` unless each of these fields is from 1 to `MOST_LAYERS`."""
    require_positive(options, *names)
    for name in names:
        value = getattr(options, name)
        require(value <= MOST_LAYERS, f"{name} must be at most {MOST_LAYERS}, got {value}")


def require_positive(options: object, *names: str) -> None:
    """Raise ``ValueError`` unless each of these fields is at least 1."""
    for name in names:
        require(getattr(options, name) >= 1, f"{name} must be at least 1, got {getattr(options, name)}")


def typed(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name as the fields of the dataclass ``kind`` have them; ``ValueError`` where a type does not fit.

    No number is rounded, and no truth value taken for a number.
    """
    types = {field.name: field.type for field in fields(kind)}
    return {name: fitting(name, get_args(types[name])[0], value) for name, value in given.items()}


def fitting(name: str, wanted: Any, value: Any) -> Any:
    """The value as the type ``wanted`` has it; ``ValueError`` where it does not fit."""
    value = value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
    if get_origin(wanted) is tuple and isinstance(value, list | tuple):
        return tuple(fitting(name, get_args(wanted)[0], one) for one in value)
    if wanted is float and type(value) in (int, float):
        require(abs(value) < 1e308, f"{name} must be a finite number")
        return float(value)
    if get_origin(wanted) is Literal:
        fits, expected = value in get_args(wanted), "one of " + ", ".join(map(str, get_args(wanted)))
    else:
        kind = get_origin(wanted) or wanted
        expected = {int: "a whole number", float: "a number", tuple: "a list", bool: "true or false"}.get(kind, "")
        fits = not expected or type(value) is kind
    require(fits, f"{name} must be {expected}, got {value!r:.80}")
    require(type(value) is not int or abs(value) < 2**63, f"{name} must be less than 2^63")
    return value


@dataclass(frozen=True)
class NoOptions:
    """A plug-in without options."""


@dataclass(frozen=True)
class GreyPictures:
    """Grey 28x28 pictures of ten classes, as MNIST and its likes have them; there is nothing to choose."""

    @property
    def shape(self) -> Shape:
        return (1, 28, 28)

    @property
    def classes(self) -> int:
        return 10


LARGEST_SIDE, MOST_CLASSES = 4096, 100_000
"""Limits for a user's own images: more than any network here is trained on, and less than memory holds."""


@dataclass(frozen=True, kw_only=True)
class GivenImages:
    """What must be known of a user's own images before any is read."""

    path: Annotated[str, "where the images are"] = ""
    classes: Annotated[int, "number of classes"] = 10
    channels: Annotated[Literal[1, 3], "1: grey, 3: colour; images are converted where they differ"] = 3
    side: Annotated[int, "height and width in pixels"] = 32
    resize: Annotated[
        Literal["refuse", "crop", "stretch"],
        "for images of another size: refuse them, scale and cut out the middle, or scale both sides",
    ] = "refuse"

    def __post_init__(self) -> None:
        require(bool(self.path), "path is needed: where the images are")
        require(self.classes >= 2, f"classes must be at least 2, got {self.classes}")
        require(self.channels in (1, 3), f"channels must be 1 or 3, got {self.channels}")
        require_positive(self, "side")
        require(self.side <= LARGEST_SIDE, f"side must be at most {LARGEST_SIDE} pixels, got {self.side}")
        require(self.classes <= MOST_CLASSES, f"classes must be at most {MOST_CLASSES}, got {self.classes}")

    @property
    def shape(self) -> Shape:
        return (self.channels, self.side, self.side)

    @property
    def size(self) -> int | None:
        return None


Norm = Annotated[
    Literal["pre", "post", "peri", "none"],
    "normalise the branch's input (pre), the sum (post), the branch's input and output (peri), or nothing",
]
"""Where a residual addition normalises; peri as Kim et al. 2025 (arXiv:2502.02732), figure 1."""


@dataclass(frozen=True, kw_only=True)
class ResidualOptions:
    """What every architecture lets its residual additions choose."""

    norm: Norm = "none"
    post_activation: Annotated[
        Literal["none", "relu", "gelu"], "activation after the addition; the site z is read after it"
    ] = "none"
    branch_gain: Annotated[
        float,
        "what the last layer of a branch is multiplied by before training; 0: the network starts as its shortcuts",
    ] = 1.0
    layer_scale: Annotated[
        float, "start of one learned factor per channel of the branch (LayerScale, arXiv:2103.17239); 0: no factors"
    ] = 0.0

    @property
    def chain(self) -> bool:
        """Whether each sum is computed from the one before alone, so that no sum can know more of X than it."""
        return True

    def check(self, shape: Shape) -> None:
        """Raise ``ValueError`` where these options cannot meet images of this shape."""

    def places(self, shape: Shape, classes: int) -> Places:
        """Every place that the network has for images of this shape; an `Addition` where it adds.

        The workflow knows sizes by this alone: it does not build the network.
        """
        raise NotImplementedError("its Options has no places(shape, classes)")

    def additions(self, shape: Shape, classes: int) -> int:
        """How many residual additions the network has."""
        return sum(isinstance(place, Addition) for place in self.places(shape, classes).values())


class MemoryOptions:
    """What a shortcut kind that keeps a memory from addition to addition says of itself; ``Options`` inherits it."""

    @property
    def states(self) -> int:
        """How many tensors of x's shape the part m holds, the state after an addition; 0: there is no part m."""
        return 0

    @property
    def chain(self) -> bool:
        """Whether a sum is computed from the one before alone; with a memory it is not."""
        return False

    def check(self, residual: ResidualOptions, additions: list[Addition]) -> None:
        """Raise ``ValueError`` where the kind cannot do what it promises.

        residual: the architecture's options; additions: the shapes of its additions, in order.
        """


class InvertibleOptions(MemoryOptions):
    """The same of a kind whose state, two tensors, determines the state before it."""

    @property
    def states(self) -> int:
        return 2

    def check(self, residual: ResidualOptions, additions: list[Addition]) -> None:
        require(
            residual.norm != "post" and residual.post_activation == "none",
            "what is normed or passed through an activation after the addition cannot be undone: norm must be pre, "
            f"peri or none, and post_activation none, got norm {residual.norm} and post_activation "
            f"{residual.post_activation}",
        )
        for before, after in itertools.pairwise(additions):
            sizes = " to ".join("x".join(map(str, one)) for one in (before, after))
            require(before == after, f"an addition that changes the shape, here {sizes}, cannot be undone")
