"""A temporal convolutional network: stem, residual blocks of convolutions along time, one answer or one at each time.

Bai et al. 2018 (arXiv:1803.01271), figure 1, without causality, with the shortcut kind in place of the identity. What
has a frequency axis is read as in Choi et al. 2019 (arXiv:1904.03814): every frequency is a channel. Sizes are ours.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from infoplane.models.residual import Additions, Match, through
from infoplane.models.sites import Site
from infoplane.options import (
    Addition,
    Field,
    Norm,
    Places,
    ResidualOptions,
    Shape,
    require,
    require_layers,
    require_positive,
)


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    width: Annotated[int, "channels of the first stage"] = 16
    blocks: Annotated[int, "residual blocks in each stage"] = 4
    stages: Annotated[int, "each stage after the first halves time and doubles the channels"] = 1
    kernel: Annotated[int, "length of a convolution; odd"] = 3
    dilation: Annotated[int, "by how much each block of a stage spreads its kernel wider than the block before"] = 2
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        require_positive(self, "width", "dilation")
        require_layers(self, "blocks", "stages")
        require(self.kernel >= 1 and self.kernel % 2 == 1, f"kernel must be odd and at least 1, got {self.kernel}")

    def check(self, input: Field, output: Field) -> None:
        require(
            input.axes in ("ct", "cft"),
            f"expected channels x time or channels x frequency x time, got {input}",
        )
        time, factor = input.shape[-1], 2 ** (self.stages - 1)
        require(time % factor == 0, f"{self.stages} stages divide time by {factor}, which {time} steps do not allow")
        if output.axes == "ct":
            require(output.shape[1] == time, f"the answer must be as long as the input, {time} steps, got {output}")
            require(self.stages == 1, f"an answer at each time needs stages 1, got {self.stages}")
        else:
            require(output.axes == "d", f"the answer must be features, or channels x time, got {output}")
        steps, span = time // factor, (self.kernel - 1) * self.dilation ** (self.blocks - 1) + 1
        require(span <= 2 * steps, f"dilation {self.dilation} spreads the last kernel over {span} steps, of {steps}")

    def places(self, input: Field, output: Field) -> Places:
        maps = [Shape((self.width * 2**stage, input.shape[-1] // 2**stage), "ct") for stage in range(self.stages)]
        blocks = {f"block{i + 1}": Addition(maps[i // self.blocks], "ct") for i in range(self.stages * self.blocks)}
        answer = {"readout": maps[-1][:1], "logits": output.shape}
        return {"stem": maps[0], **blocks} | ({"output": Shape(output.shape, "ct")} if output.axes == "ct" else answer)


def norm(channels: int) -> nn.Module:
    """Normalise each sample over its channels and time, as Conv-TasNet does (arXiv:1809.07454, equation 12)."""
    return nn.GroupNorm(1, channels)


class Branch(nn.Sequential):
    """conv - ReLU - conv, both along time: (batch, inputs, time) to (batch, outputs, time / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int, dilation: int) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv1d(inputs, outputs, kernel, stride, padding, dilation),
            nn.ReLU(),
            nn.Conv1d(outputs, outputs, kernel, 1, padding, dilation),
        )


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        width, kernel = options.width, options.kernel
        self.stem = nn.Sequential(
            nn.Flatten(1, -2), nn.Conv1d(input.values // input.shape[-1], width, kernel, padding=kernel // 2)
        )
        self.stem.add_module("z", Site())
        self.blocks: list[str] = []
        for stage in range(options.stages):
            for block in range(options.blocks):
                stride = 2 if stage and not block else 1
                inputs, width = width, width * stride
                self.blocks.append(f"block{stage * options.blocks + block + 1}")
                self.add_module(
                    self.blocks[-1],
                    add(
                        Branch(inputs, width, stride, kernel, options.dilation**block),
                        width,
                        norm=norm,
                        channel_axis=1,
                        match=Match(stride, width - inputs) if stride > 1 else None,
                        inputs=inputs,
                    ),
                )
        if output.axes == "ct":
            answer = {"output": nn.Sequential(norm(width), nn.ReLU(), nn.Conv1d(width, output.shape[0], 1))}
        else:
            pooled = nn.Sequential(norm(width), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
            answer = {"readout": pooled, "logits": nn.Sequential(nn.Linear(width, output.values))}
        for name, layers in answer.items():
            layers.add_module("z", Site())
            self.add_module(name, layers)
        self.answer = list(answer)

    def forward(self, x: Tensor) -> Tensor:
        x = through(self, self.blocks, self.stem(x))  # (batch, width, time)
        for name in self.answer:
            x = self.get_submodule(name)(x)
        return x
