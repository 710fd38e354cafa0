"""Restoration: a better picture from a worse one, such as a smaller or a noisy one; L1 or squared error, PSNR, SSIM."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor

from infoplane.metrics import Metric
from infoplane.options import Field, Fields, TaskOptions, require

SMALLEST_ERROR = 1e-10
"""Mean squared error below which PSNR grows no further: 100 dB."""


@dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    loss: Annotated[Literal["l1", "mse"], "what is minimised: the mean of absolute or of squared errors"] = "l1"
    ssim_window: Annotated[int, "side in pixels of the window in which SSIM compares pictures; odd"] = 11

    def __post_init__(self) -> None:
        require(self.loss in ("l1", "mse"), f"loss must be l1 or mse, got {self.loss}")
        require(
            self.ssim_window >= 3 and self.ssim_window % 2 == 1,
            f"ssim_window must be odd and at least 3, got {self.ssim_window}",
        )

    def check(self, data: Fields) -> None:
        super().check(data)
        for name in (self.x, self.y):
            field = data[name]
            require(
                field.axes == "chw" and field.classes is None,
                f"'{name}' is {field}: a restoration needs pictures, channels x height x width",
            )
        for name in (self.x, self.y):
            require(
                data[name].scale == "none",
                f"'{name}' has the scale {data[name].scale}: a restoration needs pictures with the scale none, "
                "from 0 to 1",
            )
        x, y = data[self.x], data[self.y]
        require(
            x.shape[0] == y.shape[0],
            f"'{self.x}' has {x.shape[0]} channels and '{self.y}' {y.shape[0]}: a restoration needs as many",
        )
        side = min(y.shape[1:])
        require(
            self.ssim_window <= side,
            f"ssim_window is {self.ssim_window} pixels, and the shorter side of '{self.y}' has {side}",
        )

    def output(self, data: Fields) -> Field:
        return data[self.y]

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        psnr = Metric("psnr", "PSNR", "dB", better=1, margin=0.1)
        return psnr, Metric("ssim", "SSIM", "1", better=1, margin=0.01, low=-1.0, high=1.0)


def losses(output: Tensor, batch: dict[str, Tensor], options: Options) -> Tensor:
    """Mean over the values of a picture of the absolute or the squared error, shape (n,)."""
    error = (output.float() - batch[options.y]).flatten(1)
    return error.abs().mean(1) if options.loss == "l1" else error.square().mean(1)


def scores(output: Tensor, batch: dict[str, Tensor], options: Options) -> dict[str, Tensor]:
    """Peak signal-to-noise ratio in dB and structural similarity of each picture, shape (n,).

    Answers are cut to the range of pictures, 0 to 1, first. SSIM is that of Wang et al. 2004 (doi
    10.1109/TIP.2003.819861), equation 13, with a Gaussian window of deviation 1.5 pixels, where it fits; the mean over
    the channels.
    """
    from pytorch_msssim import ssim

    shown, wanted = output.float().clamp(0, 1), batch[options.y]
    error = (shown - wanted).square().flatten(1).mean(1)
    psnr = -10 * error.clamp_min(SMALLEST_ERROR).log10()
    similarity = ssim(shown, wanted, data_range=1.0, size_average=False, win_size=options.ssim_window)
    return {"psnr": psnr, "ssim": similarity}


def trivial(train: dict[str, Tensor], batch: dict[str, Tensor], options: Options) -> Tensor:
    """The given picture, by bicubic interpolation (Keys 1981, with a = -1/2) where it has another size."""
    given, wanted = batch[options.x], batch[options.y]
    if given.shape == wanted.shape:
        return given
    # the coefficient a is -3/4 without antialias, with which not even a straight line is kept
    return F.interpolate(given, wanted.shape[2:], mode="bicubic", antialias=True)
