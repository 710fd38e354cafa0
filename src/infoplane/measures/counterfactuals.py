"""What a decoder reads from s + f when the branch is changed: with the decoder it had, and with one fitted anew.

A change takes s and f row by row to another z'; it is linear in the rows, so inner products of changed vectors follow
from those of s and f, and no change is ever made to the vectors themselves. Features are in units of the standard
deviation of the true s + f throughout: a fixed decoder sees z' through the units that it was fitted in.

A decoder is ridge regression (of numbers) or logistic regression (of classes) on s + f, fitted on all folds but one
and judged on z' of that fold. Ridge regression without a fold F has a closed form: with M = (K + ridge)^-1 on centred
vectors and a = M T, the left-out residuals are e = M_FF^-1 a_F and the dual weights a - M_F e, exact to rounding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.measures.anatomy import NOTHING, centred, rows
from infoplane.measures.decoding.decode import SOLVER_DTYPE, TOLERANCE
from infoplane.measures.decoding.gram import Basis, centred_eigenbasis
from infoplane.measures.decoding.logistic import (
    NUMERICAL_RANK,
    Problem,
    constant_fit,
    cross_validate,
    fit,
    left_out_losses,
    problem,
)
from infoplane.measures.decoding.ridge import choose_ridge
from infoplane.measures.targets import Classes, Numbers, Targets, Variable

Change = Callable[[Tensor, Tensor], Tensor]
"""s and f, rows first, to z'; linear in the rows."""


def intact(s: Tensor, f: Tensor) -> Tensor:
    """z' = s + f."""
    return s + f


def rescaled(factor: float) -> Change:
    """z' = s + factor f."""
    return lambda s, f: s + factor * f


def permuted(order: Tensor) -> Change:
    """z' = s + f of another sample; order: a permutation of the samples, shape (n,)."""
    return lambda s, f: s + f[order]


def without_antiparallel(s: Tensor, f: Tensor) -> Change:
    """z' = s + f less, per sample, the component of centred f that points against centred s.

    s, f: the vectors themselves, shape (n, ...); samples where f does not point against s stay as they are.
    """
    deviation, branch = centred(rows(s)), centred(rows(f))
    sizes = deviation.square().sum(1)
    along = (deviation * branch).sum(1) / sizes.where(sizes > 0, torch.ones_like(sizes))
    against = along.clamp(max=0)[:, None]
    return lambda s, f: s + f - against * (s - s.mean(0))


def permutation_within(folds: Tensor, seed: int) -> Tensor:
    """A permutation that keeps every sample within its fold, shape (n,): no fitted branch lands in a left-out sum.

    folds: the fold that holds a sample out, or -1; shape (n,).
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.arange(len(folds), device=folds.device)
    for fold in range(int(folds.max()) + 1):
        members = torch.nonzero(folds == fold)[:, 0]
        order[members] = members[torch.randperm(len(members), generator=generator).to(folds.device)]
    return order


@dataclass(frozen=True)
class Products:
    """Inner products of samples' s and f, each of shape (n, n): s with s, s with f, f with f.

    In units of the standard deviation of each feature of s + f, per feature; the origin is the mean of s + f.
    """

    ss: Tensor
    sf: Tensor
    ff: Tensor

    def changed(self, change: Change) -> tuple[Tensor, Tensor]:
        """Inner products of z' with the true s + f, and of z' with itself."""
        with_s, with_f = change(self.ss, self.sf.T), change(self.sf, self.ff)
        return with_s + with_f, change(with_s.T, with_f.T)


def products(s: Tensor, f: Tensor) -> Products:
    """Inner products of s and f of shape (n, ...).

    A feature that cancels in s + f, up to the rounding of the stored dtype, is in units of s or of f instead.
    """
    rounding = torch.finfo(s.dtype).eps if s.is_floating_point() else 0.0
    s, f = rows(s), rows(f)
    of_s, of_f, of_z = (values.std(0, correction=0) for values in (s, f, s + f))
    largest = torch.maximum(of_s, of_f)
    unit = torch.where(of_z > rounding * torch.maximum(s.abs().amax(0), f.abs().amax(0)), of_z, largest)
    varies = unit > 0
    unit = unit[varies] * max(1, int(varies.sum())) ** 0.5
    f = f[:, varies]
    s = s[:, varies] - (s[:, varies] + f).mean(0)
    s, f = s / unit, f / unit
    return Products(s @ s.T, s @ f.T, f @ f.T)


def together(z: Tensor) -> Products:
    """Of vectors z of shape (n, k) as they are, all features in one unit; there is no branch to change."""
    vectors = centred(rows(z))
    kernel = vectors @ vectors.T
    nothing = torch.zeros_like(kernel)
    return Products(kernel, nothing, nothing)


class Decoders:
    """Decoders of a variable from s + f, and what they lose on a changed z'.

    folds: the fold that holds a sample out, or -1 (never judged); shape (n,). Every method returns one loss per judged
    sample, float64, in the order of the samples: squared errors of numbers, or cross-entropies of classes in nats.
    """

    def __init__(self, products: Products, targets: Targets, folds: Tensor, ridges: Sequence[float]) -> None:
        self.products, self.targets, self.folds, self.ridges = products, targets, folds, ridges
        self.training = (folds[None] != torch.arange(int(folds.max()) + 1, device=folds.device)[:, None]).double()
        self.kernel, self.size = _scaled(products.changed(intact)[1])
        self.basis = centred_eigenbasis(self.kernel)
        self._inverses: dict[Numbers, Tensor | None] = {}
        self._logistics: dict[Classes, tuple[Problem, Tensor]] = {}

    @property
    def constant(self) -> bool:
        """Whether s + f does not vary."""
        return not bool(self.kernel.any())

    def of_mean(self, variable: Numbers) -> Tensor:
        """Errors of the mean of the other folds."""
        return self._losses(variable, None)

    def intact(self, variable: Variable) -> Tensor:
        """Losses of the decoder of s + f on s + f."""
        if isinstance(variable, Numbers):
            return self._losses(variable, self._inverse(variable))
        posed, weights = self._logistic(variable)
        return left_out_losses(weights @ posed.features, variable.labels, self.folds)

    def fixed(self, variable: Variable, change: Change) -> Tensor:
        """Losses of the decoder of s + f on z'."""
        if isinstance(variable, Numbers):
            return self._losses(variable, self._inverse(variable), self._difference(change))
        posed, weights = self._logistic(variable)
        kept = self.basis.values > NUMERICAL_RANK * self.basis.values[-1]
        lift = self.basis.vectors[:, kept] / self.basis.values[kept].sqrt()
        moved = posed.features.double()
        moved[:-1] += lift.T @ self._difference(change).T
        return left_out_losses(weights @ moved.to(weights.dtype), variable.labels, self.folds)

    def refitted(self, variable: Variable, change: Change) -> Tensor:
        """Losses of a decoder of z' on z'."""
        basis = self._changed_basis(change)
        if isinstance(variable, Numbers):
            return self._losses(variable, self._inverse_of(basis, variable))
        posed = self._problem(basis, variable)
        return cross_validate(posed, variable.labels, self.folds, self.ridges, TOLERANCE).losses

    def _inverse(self, variable: Numbers) -> Tensor | None:
        if variable not in self._inverses:
            self._inverses[variable] = self._inverse_of(self.basis, variable)
        return self._inverses[variable]

    def _inverse_of(self, basis: Basis, variable: Numbers) -> Tensor | None:
        """(K + ridge)^-1 on centred vectors, at the ridge with the least leave-one-out error; None where it is inf."""
        ridge = choose_ridge(basis, variable.values, self.ridges, self.targets.groups).ridge
        return (basis.vectors / (basis.values + ridge)) @ basis.vectors.T if math.isfinite(ridge) else None

    def _logistic(self, variable: Classes) -> tuple[Problem, Tensor]:
        """The logistic regression of s + f and its weights, shape (folds, classes, r + 1).

        Followed from strong ridges to weak: where all samples can be told apart, many weights fit as well as the best,
        and it is those on this path that are judged elsewhere.
        """
        if variable not in self._logistics:
            posed = self._problem(self.basis, variable)
            best = cross_validate(posed, variable.labels, self.folds, self.ridges, TOLERANCE).ridge
            found = constant_fit(posed)
            for ridge in [*(ridge for ridge in self.ridges if ridge > best), best]:
                if math.isfinite(ridge):
                    found = fit(posed, ridge, found, TOLERANCE)
            self._logistics[variable] = posed, found.weights
        return self._logistics[variable]

    def _problem(self, basis: Basis, variable: Classes) -> Problem:
        return problem(basis, variable.one_hot, self.training, SOLVER_DTYPE)

    def _difference(self, change: Change) -> Tensor:
        """Inner products of z' - z with z, shape (n, n), in the kernel's units."""
        return self.products.changed(change)[0] / self.size - self.kernel

    def _changed_basis(self, change: Change) -> Basis:
        return centred_eigenbasis(_scaled(self.products.changed(change)[1])[0])

    def _losses(self, variable: Numbers, inverse: Tensor | None, difference: Tensor | None = None) -> Tensor:
        """Left-out squared errors of ridge regression, or of the mean without an inverse.

        difference: inner products of the judged vectors, less the fitted ones, with the fitted ones.
        """
        values = variable.values
        losses = values.new_zeros(self.targets.n)
        dual = inverse @ values if inverse is not None else None
        for fold in range(len(self.training)):
            left_out = torch.nonzero(self.folds == fold)[:, 0]
            if inverse is None or dual is None:
                residuals = values[left_out] - values[self.folds != fold].mean(0)
            else:
                residuals = torch.linalg.solve(inverse[left_out][:, left_out], dual[left_out])
                if difference is not None:
                    residuals = residuals - difference[left_out] @ (dual - inverse[:, left_out] @ residuals)
            losses[left_out] = residuals.square().sum(1)
        return losses[self.folds >= 0]


def _scaled(kernel: Tensor) -> tuple[Tensor, float]:
    """A kernel in units of its samples' mean squared distance from their mean, and that unit; 0 where they are one."""
    mean = kernel.mean(0)
    spread = float((kernel.diagonal() - 2 * mean + mean.mean()).mean())
    if spread > NOTHING * float(kernel.diagonal().mean()):
        return kernel / spread, spread
    return torch.zeros_like(kernel), 1.0
