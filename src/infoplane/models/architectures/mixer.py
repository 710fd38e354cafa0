"""A small MLP-Mixer: patches, token-mixing and channel-mixing additions, mean read-out.

Tolstikhin et al. 2021, "MLP-Mixer: an all-MLP architecture for vision" (arXiv:2105.01601), figure 1 and equation 1,
with any shortcut kind in place of the identity. Sizes are ours.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from infoplane.models.patches import PatchEmbedding
from infoplane.models.residual import Additions, through
from infoplane.models.sites import Site
from infoplane.options import (
    Addition,
    Field,
    Norm,
    Places,
    ResidualOptions,
    count_patches,
    require_axes,
    require_layers,
    require_patches,
    require_positive,
)


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    patch: Annotated[int, "side of a square patch, in pixels"] = 2
    dim: Annotated[int, "width of a token"] = 32
    blocks: Annotated[int, "number of mixer blocks; each makes two additions, token and channel mixing"] = 4
    token_dim: Annotated[int, "hidden width of token mixing"] = 32
    channel_dim: Annotated[int, "hidden width of channel mixing"] = 64
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        require_positive(self, "patch", "dim", "token_dim", "channel_dim")
        require_layers(self, "blocks")

    def check(self, input: Field, output: Field) -> None:
        require_patches(self.patch, input)
        require_axes(output, "d")

    def places(self, input: Field, output: Field) -> Places:
        tokens = count_patches(self.patch, input), self.dim
        parts = [f"block{block + 1}_{part}" for block in range(self.blocks) for part in ("token", "channel")]
        additions = {part: Addition(tokens) for part in parts}
        return {"stem": tokens, **additions, "readout": (self.dim,), "logits": output.shape}


def mlp(features: int, hidden: int) -> nn.Sequential:
    """Linear - GELU - linear over the last axis."""
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))


class TokenMixing(nn.Module):
    """The MLP across tokens, the same for every channel: (batch, tokens, dim) to the same."""

    def __init__(self, tokens: int, hidden: int) -> None:
        super().__init__()
        self.mlp = mlp(tokens, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x.transpose(1, 2)).transpose(1, 2)


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        dim = options.dim
        embedding = PatchEmbedding(input, options.patch, dim)
        self.stem = nn.Sequential(embedding)
        self.stem.add_module("z", Site())
        self.blocks = []
        for block in range(1, options.blocks + 1):
            token_mixing = TokenMixing(embedding.tokens, options.token_dim)
            for part, branch in (("token", token_mixing), ("channel", mlp(dim, options.channel_dim))):
                self.blocks.append(f"block{block}_{part}")
                self.add_module(self.blocks[-1], add(branch, dim, norm=nn.LayerNorm))
        self.norm = nn.LayerNorm(dim)
        self.readout = nn.Sequential()
        self.readout.add_module("z", Site())
        self.logits = nn.Sequential(nn.Linear(dim, output.values))
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        x = through(self, self.blocks, self.stem(x))  # (batch, tokens, dim)
        pooled = self.norm(x).mean(dim=1)  # (batch, dim)
        return self.logits(self.readout(pooled))
