"""Cutting images into patches, for the token architectures."""

from torch import Tensor, nn

from infoplane.options import Field, count_patches


class PatchEmbedding(nn.Module):
    """Images (batch, C, H, W) to tokens (batch, H W / patch^2, dim), one linear map per patch."""

    def __init__(self, images: Field, patch: int, dim: int) -> None:
        super().__init__()
        self.tokens = count_patches(patch, images)
        self.projection = nn.Conv2d(images.shape[0], dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x).flatten(2).transpose(1, 2)
