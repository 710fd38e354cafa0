"""A small vision transformer: patches, attention and MLP additions, mean or class-token read-out.

Dosovitskiy et al. 2021, "An image is worth 16x16 words" (arXiv:2010.11929), figure 1 and equations 1-4, with any
shortcut kind in place of the identity. Sizes are ours.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
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
    require,
    require_axes,
    require_layers,
    require_patches,
    require_positive,
)


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    patch: Annotated[int, "side of a square patch, in pixels"] = 2
    dim: Annotated[int, "width of a token"] = 32
    blocks: Annotated[int, "number of transformer blocks; each makes two additions, attention and MLP"] = 4
    heads: Annotated[int, "number of attention heads"] = 4
    mlp_ratio: Annotated[int, "hidden width of the MLP as a multiple of dim"] = 2
    pool: Annotated[Literal["mean", "cls"], "what is read out: the mean of the tokens, or a class token"] = "mean"
    values: Annotated[
        Literal["own", "first"],
        "what attention mixes: its own values, or their mean with the first attention's (ResFormer, arXiv:2410.17897)",
    ] = "own"
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        require_positive(self, "patch", "dim", "heads", "mlp_ratio")
        require_layers(self, "blocks")
        require(self.values in ("own", "first"), f"values must be own or first, got {self.values}")
        require(self.dim % self.heads == 0, f"heads ({self.heads}) must divide dim ({self.dim})")

    @property
    def chain(self) -> bool:
        return self.values == "own"

    def check(self, input: Field, output: Field) -> None:
        require_patches(self.patch, input)
        require_axes(output, "d")

    def places(self, input: Field, output: Field) -> Places:
        tokens = count_patches(self.patch, input) + (self.pool == "cls"), self.dim
        parts = [f"block{block + 1}_{part}" for block in range(self.blocks) for part in ("attention", "mlp")]
        additions = {part: Addition(tokens) for part in parts}
        return {"stem": tokens, **additions, "readout": (self.dim,), "logits": output.shape}


class FirstValues:
    """The values of a forward pass's first attention, for those after it; emptied after every pass."""

    def __init__(self) -> None:
        self.values: Tensor | None = None

    def mixed(self, values: Tensor) -> Tensor:
        """The mean of the first values and these; the first themselves as they are."""
        if self.values is None:
            self.values = values
            return values
        return (self.values + values) / 2


class Attention(nn.Module):
    """Multi-head self-attention (their appendix A): (batch, tokens, dim) to the same."""

    def __init__(self, dim: int, heads: int, first: FirstValues | None) -> None:
        super().__init__()
        self.heads, self.first = heads, first
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        q, k, v = (
            self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        )  # each (batch, heads, tokens, dim / heads)
        if self.first is not None:
            v = self.first.mixed(v)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.output(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        dim = options.dim
        self.pool = options.pool
        self.first = FirstValues() if options.values == "first" else None
        self.embedding = PatchEmbedding(input, options.patch, dim)
        tokens = self.embedding.tokens + (self.pool == "cls")
        self.cls = nn.Parameter(torch.zeros(1, 1, dim)) if self.pool == "cls" else None
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.stem = nn.Sequential()
        self.stem.add_module("z", Site())
        self.blocks = []
        for block in range(1, options.blocks + 1):
            mlp = nn.Sequential(
                nn.Linear(dim, options.mlp_ratio * dim), nn.GELU(), nn.Linear(options.mlp_ratio * dim, dim)
            )
            for part, branch in (("attention", Attention(dim, options.heads, self.first)), ("mlp", mlp)):
                self.blocks.append(f"block{block}_{part}")
                self.add_module(self.blocks[-1], add(branch, dim, norm=nn.LayerNorm))
        self.readout = nn.Sequential(nn.LayerNorm(dim))
        self.readout.add_module("z", Site())
        self.logits = nn.Sequential(nn.Linear(dim, output.values))
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)  # (batch, tokens, dim)
        if self.cls is not None:
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        try:
            x = through(self, self.blocks, self.stem(x + self.positions))
        finally:  # also where a pass fails, for the next one begins without values
            if self.first is not None:
                self.first.values = None
        pooled = x.mean(dim=1) if self.cls is None else x[:, 0]  # (batch, dim)
        return self.logits(self.readout(pooled))
