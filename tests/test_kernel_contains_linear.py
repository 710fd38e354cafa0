"""`kernel` is never worse than `linear`, on planted representations where its screen sees little of what is there.

68 of them; 204 with ``pytest --hypothesis-profile thorough``.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from planted_decoding import KINDS, Draw, Sample, cases, one_unit_in_thousands

from infoplane.measures.estimate import Estimate
from infoplane.measures.families import kernel, linear
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")
OF_A_KIND = 12 if settings.get_current_profile_name() == "thorough" else 4


def both(sample: Sample, **options: Any) -> list[tuple[Estimate, Estimate]]:
    """Z-X and Z-Y, each by `kernel` and by `linear`; options: of both."""
    z, x, y = sample
    targets, options = prepare(x, y, CPU), {"extrapolate": False} | options
    wide = kernel.Options(**options, screen=min(150, options.get("landmarks", 150)))
    found = [kernel.estimate(torch.as_tensor(z), targets, wide)]
    found.append(linear.estimate(torch.as_tensor(z), targets, linear.Options(**options)))
    return list(zip(*found, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kernel_is_never_worse_than_linear(kind: Draw) -> None:
    for sample in cases(kind, OF_A_KIND):
        for wide, narrow in both(sample):
            assert wide.value is not None and narrow.value is not None
            allowed = 1e-3
            if wide.blocks and narrow.blocks:
                differences = np.subtract(wide.blocks, narrow.blocks)
                allowed = max(allowed, float(differences.std(ddof=1)) / math.sqrt(len(differences)))
            assert wide.value <= narrow.value + allowed, (wide, narrow)


@pytest.mark.parametrize("seed", range(20))
def test_classes_a_thousand_deviations_apart_on_a_line(seed: int) -> None:
    """The truth is 0; regression of the label's indicators, which screens bandwidths, sees its first and last class."""
    z, x, y = one_unit_in_thousands(np.random.default_rng(seed), 400)
    _, zy = kernel.estimate(torch.as_tensor(z), prepare(x, y, CPU), kernel.Options(extrapolate=False))
    assert zy.value is not None and 0 <= zy.value < 2e-3


def test_heavy_tails_leave_the_linear_kernel_in_the_choice() -> None:
    rng = np.random.default_rng(101)
    x = rng.standard_t(2.5, size=(1000, 1))
    for wide, narrow in both((x + rng.normal(size=x.shape), x, (x[:, 0] > 0).astype(int))):
        assert wide.value is not None and narrow.value is not None and wide.value <= narrow.value


@pytest.mark.parametrize("d", [8, 80, 150])
def test_landmarks_leave_the_linear_kernel_as_it_is(d: int) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(140, d))
    x = z @ rng.normal(size=(d, 3))
    found = both((z, x, (x[:, 0] > 0).astype(int)), exact_up_to=100, landmarks=40)
    for wide, narrow in found:
        assert wide.value is not None and narrow.value is not None and wide.value <= narrow.value + 1e-9
