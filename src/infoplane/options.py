"""What a plug-in's ``Options`` may stand on: pure Python, so that the workflow can read it without torch.

Every option is ``name: Annotated[type, "one line for the reader"] = default``. ``__post_init__`` checks the options
against each other; ``check(input, output)`` (architectures) checks them against what a network reads and answers.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Annotated, Any, Literal, Self

from infoplane.metrics import Metric

AXES = {"c": "channels", "h": "height", "w": "width", "t": "time", "f": "frequency", "d": "features"}
"""What the letters of a field's axes stand for."""

OWN_STATISTICS = "cd"
"""Axes along which mean and deviation are taken entry by entry, and not over all of them."""

Places = dict[str, tuple[int, ...]]
"""Name of each place at which a network is read -> shape of one sample's activation there, in order of visit."""


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless the condition holds."""
    if not condition:
        raise ValueError(message)


class Shape(tuple[int, ...]):
    """The shape of one sample's activation; axes: one letter of `AXES` for each size, or empty.

    Along height, width and time an activation may be averaged (``activations.pool``).
    """

    axes: str

    def __new__(cls, sizes: Iterable[int], axes: str = "") -> Self:
        shape = super().__new__(cls, sizes)
        fits = not axes or len(axes) == len(shape)
        require(fits, f"axes must name each size of {list(shape)} by one letter, got '{axes}'")
        shape.axes = axes
        return shape


class Addition(Shape):
    """The same at a residual addition, which is read at several parts: the shortcut, the branch, their sum."""


def axes_of(shape: tuple[int, ...]) -> str:
    """The axes that a shape declares; empty where it declares none."""
    return shape.axes if isinstance(shape, Shape) else ""


@dataclass(frozen=True)
class Field:
    """Declare one named tensor that every sample of a data set has, before any sample is read.

    shape: of one sample; () for a class. axes: one letter of `AXES` for each size. classes: of whole numbers that are
    classes, counted from 0. names: of the classes. scale: ``per_channel`` is read with the mean 0 and the deviation 1
    that the training samples have along each channel or feature, ``none`` as it is stored (bytes as shares of 255).
    """

    shape: tuple[int, ...]
    axes: str
    dtype: Literal["uint8", "float32", "int64"]
    classes: int | None = None
    names: tuple[str, ...] | None = None
    scale: Literal["per_channel", "none"] = "per_channel"

    def __post_init__(self) -> None:
        require(
            len(self.axes) == len(self.shape) and len(set(self.axes)) == len(self.axes) and set(self.axes) <= set(AXES),
            f"axes must name each size of {list(self.shape)} by one letter of {', '.join(AXES)}, got '{self.axes}'",
        )
        require(min(self.shape, default=1) >= 1, f"every size must be at least 1, got {list(self.shape)}")
        require(
            (self.classes is None) == (self.dtype != "int64"),
            f"whole numbers (int64) are classes, and nothing else is: got {self.dtype} with classes {self.classes}",
        )
        require(self.classes is None or self.classes >= 2, f"classes must be at least 2, got {self.classes}")

    @property
    def is_class(self) -> bool:
        """Whether a sample has one class here."""
        return self.classes is not None and not self.shape

    @property
    def is_picture(self) -> bool:
        """Whether it can be shown: grey values or colours along height and width."""
        return self.axes == "chw" and self.shape[0] in (1, 3) and self.classes is None

    @property
    def values(self) -> int:
        """How many values one sample has."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes one sample takes."""
        return self.values * {"uint8": 1, "float32": 4, "int64": 8}[self.dtype]

    @property
    def unit(self) -> int:
        """What is stored for 1: of bytes 255."""
        return 255 if self.dtype == "uint8" else 1

    @property
    def statistics(self) -> tuple[int, ...]:
        """The shape of mean and deviation that fits one sample: its size along channels and features, else 1."""
        return tuple(size if axis in OWN_STATISTICS else 1 for size, axis in zip(self.shape, self.axes, strict=True))

    def __str__(self) -> str:
        """Write sizes and what they are of: ``1x8x8 (channels x height x width)``."""
        if not self.shape:
            return f"one of {self.classes} classes"
        return f"{'x'.join(map(str, self.shape))} ({' x '.join(AXES[axis] for axis in self.axes)})"

    def to_dict(self) -> dict[str, Any]:
        """The field as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read back what `to_dict` gave."""
        read: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
        return cls(**read)


Fields = dict[str, Field]
"""Name -> declaration, in the order of the data set; the first is what a network reads unless a task says otherwise."""


def image(channels: int, height: int, width: int) -> Field:
    """Declare pictures of bytes."""
    return Field((channels, height, width), "chw", "uint8")


def label(classes: int, names: tuple[str, ...] | None = None) -> Field:
    """Declare one class for each sample."""
    return Field((), "", "int64", classes, names)


def vector(values: int) -> Field:
    """Declare so many numbers, such as one score for each class."""
    return Field((values,), "d", "float32", scale="none")


def require_axes(field: Field, axes: str) -> None:
    """Raise ``ValueError`` unless a field has these axes."""
    expected = " x ".join(AXES[axis] for axis in axes)
    require(field.axes == axes, f"expected {expected}, got {field}")


def require_patches(patch: int, field: Field) -> None:
    """Raise ``ValueError`` unless these are images that square patches of this side tile exactly."""
    require_axes(field, "chw")
    _, height, width = field.shape
    require(patch >= 1, f"patch must be at least 1, got {patch}")
    require(
        height % patch == 0 and width % patch == 0,
        f"patch {patch} does not divide the images' height and width, {height}x{width}",
    )


def count_patches(patch: int, field: Field) -> int:
    """How many square patches of this side an image has."""
    return (field.shape[1] // patch) * (field.shape[2] // patch)


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


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What every task lets its networks choose: which fields they read and answer."""

    x: Annotated[str, "the field that networks read"] = "x"
    y: Annotated[str, "the field that they learn to answer"] = "y"

    @property
    def loss_unit(self) -> str:
        """Of what is minimised."""
        return "1"

    @property
    def changed(self) -> str:
        """What a network learns from is changed by, such as ``label noise 0.1``; empty: nothing."""
        return ""

    def check(self, data: Fields) -> None:
        """Raise ``ValueError`` where the data have not what this task needs."""
        for option in (self.x, self.y):
            require(option in data, f"there is no field '{option}', only {', '.join(data)}")
        require(data[self.x].classes is None, f"networks read numbers, and '{self.x}' holds classes")

    def output(self, data: Fields) -> Field:
        """What a network answers of one sample."""
        raise NotImplementedError("its Options has no output(data)")

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        """By what answers are judged; the first is shown wherever there is room for one."""
        raise NotImplementedError("its Options has no metrics(data)")


@dataclass(frozen=True)
class NoOptions:
    """A plug-in without options."""


@dataclass(frozen=True)
class GreyPictures:
    """Grey 28x28 pictures of ten classes, as MNIST and its likes have them; there is nothing to choose."""

    @property
    def fields(self) -> Fields:
        return {"x": image(1, 28, 28), "y": label(10)}


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
    def fields(self) -> Fields:
        return {"x": image(self.channels, self.side, self.side), "y": label(self.classes)}

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

    def check(self, input: Field, output: Field) -> None:
        """Raise ``ValueError`` where these options cannot meet such inputs, or cannot give such outputs."""

    def places(self, input: Field, output: Field) -> Places:
        """Every place that the network has for such inputs and outputs; an `Addition` where it adds.

        The workflow knows sizes by this alone: it does not build the network.
        """
        raise NotImplementedError("its Options has no places(input, output)")

    def additions(self, input: Field, output: Field) -> int:
        """How many residual additions the network has."""
        return sum(isinstance(place, Addition) for place in self.places(input, output).values())


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
