"""A small residual convolutional network: stem, stages of two-convolution blocks, average pooling, linear classifier.

He et al. 2016, "Deep residual learning for image recognition" (arXiv:1512.03385), figure 2 and section 4.2, with
any shortcut kind in place of the identity. Sizes are ours.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn

from infoplane.models.residual import Additions, Match, through
from infoplane.models.sites import Site
from infoplane.options import (
    Addition,
    Field,
    Places,
    ResidualOptions,
    Shape,
    require,
    require_axes,
    require_layers,
    require_positive,
)


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    width: Annotated[int, "channels of the first stage"] = 16
    blocks: Annotated[int, "residual blocks in each stage"] = 6
    stages: Annotated[int, "each stage after the first halves height and width and doubles the channels"] = 1
    stem_pool: Annotated[int, "factor by which the stem averages height and width down"] = 1
    post_activation: Annotated[
        Literal["none", "relu", "gelu"], "activation after the addition; the site z is read after it"
    ] = "relu"

    def __post_init__(self) -> None:
        require_positive(self, "width", "stem_pool")
        require_layers(self, "blocks", "stages")

    def check(self, input: Field, output: Field) -> None:
        require_axes(input, "chw")
        require_axes(output, "d")
        _, height, width = input.shape
        factor = self.stem_pool * 2 ** (self.stages - 1)
        require(
            height % factor == 0 and width % factor == 0,
            f"stem_pool {self.stem_pool} and {self.stages} stages divide height and width by {factor}, "
            f"which {height}x{width} images do not allow",
        )

    def places(self, input: Field, output: Field) -> Places:
        maps = [
            Shape((self.width * 2**stage, *(side // (self.stem_pool * 2**stage) for side in input.shape[1:])), "chw")
            for stage in range(self.stages)
        ]
        blocks = {f"block{i + 1}": Addition(maps[i // self.blocks], "chw") for i in range(self.stages * self.blocks)}
        return {"stem": maps[0], **blocks, "readout": maps[-1][:1], "logits": output.shape}


class Branch(nn.Sequential):
    """conv - norm - ReLU - conv - norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        width = options.width
        self.stem = nn.Sequential(
            nn.Conv2d(input.shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AvgPool2d(options.stem_pool) if options.stem_pool > 1 else nn.Identity(),
        )
        self.stem.add_module("z", Site())
        self.blocks: list[str] = []
        for stage in range(options.stages):
            for block in range(options.blocks):
                stride = 2 if stage and not block else 1
                inputs, width = width, width * stride
                name = f"block{stage * options.blocks + block + 1}"
                self.blocks.append(name)
                self.add_module(
                    name,
                    add(
                        Branch(inputs, width, stride),
                        width,
                        norm=nn.BatchNorm2d,
                        channel_axis=1,
                        match=Match(stride, width - inputs) if stride > 1 else None,
                        inputs=inputs,
                    ),
                )
        self.readout = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.readout.add_module("z", Site())
        self.logits = nn.Sequential(nn.Linear(width, output.values))
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.readout(through(self, self.blocks, self.stem(x))))  # (batch, width, height, width)
