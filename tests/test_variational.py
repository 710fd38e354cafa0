"""InfoNCE: below the truth, near it where it can be, never above the logarithm of what it is tested on."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures.information.variational import infonce
from infoplane.measures.targets import prepare

FAMILY = registry.load("measure", "variational")


def normal_pair(n: int, d: int, nats: float) -> tuple[Tensor, Tensor]:
    rng, rho = np.random.default_rng(0), math.sqrt(1 - math.exp(-2 * nats / d))
    x = rng.normal(size=(n, d))
    return torch.as_tensor(x), torch.as_tensor(rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, d)))


@pytest.mark.parametrize(("d", "nats"), [(1, 1.0), (4, 1.0), (4, 3.0)])
def test_a_lower_bound_that_is_tight_enough(d: int, nats: float) -> None:
    found = infonce(*normal_pair(3000, d, nats))
    assert 0.7 * nats < found.value < nats + 3 * found.stderr and found.note == ""


def test_independent_variables_tell_nothing() -> None:
    found = infonce(*normal_pair(1000, 3, 0.0))
    assert 0 <= found.value < 0.05


def test_it_sees_what_no_correlation_sees() -> None:
    x, noise = normal_pair(2000, 1, 0.0)
    assert infonce(x, x.square() + 0.1 * noise).value > 1.0


def test_its_limit_is_said() -> None:
    x = normal_pair(400, 6, 0.0)[0]
    found = infonce(x, x)
    assert 0.9 * math.log(160) < found.value <= math.log(160)
    assert found.note == "saturated: it cannot exceed 5.08"


def test_scales_and_shifts_do_not_matter_and_the_seed_decides() -> None:
    x, z = normal_pair(300, 2, 2.0)
    state = torch.random.get_rng_state()
    found = infonce(x, z)
    assert torch.equal(torch.random.get_rng_state(), state), "another's random numbers were used"
    assert infonce(x, z) == found and infonce(x, z, seed=1) != found
    assert abs(infonce(1000 * x + 5, -z).value - found.value) < 0.4


def test_bad_samples() -> None:
    x, z = normal_pair(40, 2, 1.0)
    with pytest.raises(UserError, match="NaN or infinity"):
        infonce(x, torch.where(z > 1, torch.nan, z))
    with pytest.raises(UserError, match="have to be paired"):
        infonce(x, z[:30])
    with pytest.raises(UserError, match="10 samples are too few to train and to test"):
        infonce(x[:10], z[:10])
    assert infonce(x, torch.ones(40))[::2] == (0.0, "constant")
    assert 0 <= infonce(torch.cat([x] * 3), torch.cat([z] * 3)).value <= math.log(48)


def test_the_family() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1, 5, 5))
    targets = prepare(x, np.arange(400) % 2, torch.device("cpu"))
    z = torch.as_tensor(x.reshape(400, 25) @ rng.normal(size=(25, 200)), dtype=torch.float32)
    (found,) = FAMILY.estimate(z, targets, FAMILY.Options())
    assert (found.measure, found.unit, found.n, found.d) == ("ixz_lower", "nats", 400, 200)
    assert 1 < found.value <= math.log(160) and found.calibration is None
    assert FAMILY.estimate(torch.ones(400, 3), targets, FAMILY.Options())[0].note == "constant"
    with pytest.raises(ValueError, match="left_out must be"):
        FAMILY.Options(left_out=1.0)
