"""Distributions of which Z-X, Z-Y or mutual information is known: what every estimator has to meet.

Values are closed forms, one-dimensional quadrature, or the exact posterior averaged over a million draws; each
function says which, and from where.
"""

from infoplane.measures.truths.added_noise import Noise, noisy_copy, noisy_grid
from infoplane.measures.truths.channels import additive_uniform, mixture_channel, sign_channel
from infoplane.measures.truths.classes import mixture, noisy_classes, on_a_grid
from infoplane.measures.truths.controls import copy, frozen_network, independent_noise, repeated_rows
from infoplane.measures.truths.discrete import (
    confusion,
    erased_letters,
    exclusive_or,
    function_of_input,
    merged_letters,
    ten_symbols,
)
from infoplane.measures.truths.gaussian import correlated, linear_gaussian
from infoplane.measures.truths.hard import circle, cubes, gamma_exponential, heavy_tails, one_unit
from infoplane.measures.truths.pictures import blobs, pictures, rectangles
from infoplane.measures.truths.reversible import reversible_digits
from infoplane.measures.truths.transforms import affine, injective_maps, student
from infoplane.measures.truths.truth import Truth
from infoplane.measures.truths.waves import waves


def all_truths(noise: Noise | None = None) -> list[Truth]:
    """Every distribution of the accuracy table.

    noise: how much Gaussian noise the estimator itself adds to Z, if it does; then there are also distributions that
    are known through this noise.
    """
    return [
        *(linear_gaussian(d, snr) for d in (1, 8, 64) for snr in (0.25, 1, 4)),
        linear_gaussian(8, mixed=True),
        *(correlated(d, information) for d in (1, 2) for information in (1, 3, 5)),
        *(correlated(d, information) for d in (4, 8) for information in (1, 3)),
        sign_channel(),
        mixture_channel(),
        *(additive_uniform(width) for width in (0.1, 0.75)),
        *(student(d, 1, freedom) for d, freedom in ((1, 2), (1, 5), (2, 5))),
        *injective_maps(),
        waves(),
        *(correlated(1, information) for information in (0.01, 0.05)),
        *(affine(base) for base in (linear_gaussian(8), correlated(1, 1), noisy_classes())),
        confusion(),
        ten_symbols(),
        function_of_input(),
        erased_letters(),
        merged_letters(),
        exclusive_or(),
        *(noisy_grid(noise, d, levels) for d, levels in ((1, 5), (3, 3)) if noise),
        *(noisy_copy(noise, d) for d in (1, 2) if noise),
        mixture(4, 4, 0.6),
        mixture(10, 10, 0.6),
        mixture(10, 10, 0.6, permuted=True),
        noisy_classes(),
        on_a_grid(10, 16, 1000),
        on_a_grid(5, 32, 6),
        on_a_grid(10, 8, 2.5, axes=2),
        *(cubes(d) for d in (1, 8)),
        circle(),
        heavy_tails(),
        gamma_exponential(),
        one_unit(),
        reversible_digits(),
        *(pictures("Gaussian blobs", blobs, information) for information in (1, 3, 5)),
        *(pictures("rectangles", rectangles, information) for information in (1, 3, 5)),
        *(copy(d) for d in (1, 8, 64)),
        *(independent_noise(d) for d in (8, 4000)),
        repeated_rows(),
        frozen_network(),
    ]
