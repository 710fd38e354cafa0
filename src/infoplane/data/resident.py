"""A split that lives on the device."""

import numpy as np
import torch
from torch import Tensor

from infoplane.data.images import Split


class ResidentSplit:
    """uint8 pixels and labels on the device, normalised batch by batch with the training split's mean and deviation."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.pixels = torch.from_numpy(np.array(split.pixels)).to(device)
        self.labels = torch.from_numpy(np.array(split.labels, dtype=np.int64)).to(device)
        mean = torch.tensor(split.metadata["mean"], dtype=torch.float32, device=device)
        std = torch.tensor(split.metadata["std"], dtype=torch.float32, device=device)
        self.scale = (1 / (255 * std))[:, None, None]
        self.shift = (mean / std)[:, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def normalised(self, rows: Tensor | slice) -> Tensor:
        """Images (len(rows), C, H, W), float32, zero mean and unit deviation per channel over the training split."""
        return self.pixels[rows].float() * self.scale - self.shift
