"""Activations that another framework wrote, measured by the same families.

The data contract. The activations are one Parquet file: a row per sample (and checkpoint), a column per site. ``step``
(whole numbers) tells checkpoints apart and ``sample`` gives the place in the held-out file (0 to n - 1, each once per
step), or an id that the held-out file has in its own column ``sample``; without them the file holds one checkpoint, in
the order of the held-out file. Sites may be named ``block3.s``, ``block3.f`` and ``block3.z``; any other name is a site
of its own, and depth is the order of the columns (of numbered ones that stand sorted as words, that of their numbers).
The held-out file is one Parquet file too: a row per sample, X in a column, Y (classes: whole numbers or words) in
another, and perhaps ``group``, ids of samples that belong together. A tensor's cell is a list of numbers, nested for
its shape (all samples of one size), or one number, or bytes as infoplane writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch
from torch import Tensor

from infoplane.activations.file import Site
from infoplane.errors import UserError
from infoplane.measures.arrays import LARGEST, SMALLEST, as_ids, as_inputs, as_labels, as_samples
from infoplane.measures.columns import Table
from infoplane.measures.subject import Subject
from infoplane.measures.targets import Targets, prepare

STEP, SAMPLE, GROUP = "step", "sample", "group"
PARTS = ("s", "f", "z")
FLAG = "--amounts (amounts=True in Python)"
"""How a person says that whole numbers in X are amounts."""


class ForeignActivations:
    """A file of activations by the contract above, with what a measure family asks of it.

    ids: the held-out file's own column ``sample``, shape (n,), where it has one; rows are then joined by it.
    """

    def __init__(self, path: Path, ids: np.ndarray | None = None) -> None:
        self._table, self._ids = Table(path), ids
        columns = [name for name in self._table.schema.names if name not in (STEP, SAMPLE)]
        if not columns:
            raise UserError(f"{path} holds no site: expected a column of activations beside '{STEP}' and '{SAMPLE}'.")
        self._stepped = STEP in self._table.schema.names
        self._ordered = SAMPLE in self._table.schema.names
        if not self._table.rows:
            raise UserError(f"{path} holds no rows.")
        steps = np.unique(self._table.integers(STEP, "the training step")) if self._stepped else np.zeros(1, np.int64)
        self.steps: list[int] = steps.tolist()
        self._orders: dict[int, np.ndarray | None] = {}
        self.metadata = {"status": "finished", "diverged_at": None} | self._table.metadata
        self.epochs: dict[int, float | None] = dict.fromkeys(self.steps)
        depths = _depths(columns, path)
        self.renumbered = list(depths.values()) != sorted(depths.values())
        self.sites = [self._site(name, depths[name]) for name in sorted(columns, key=depths.__getitem__)]

    def _site(self, column: str, depth: int) -> Site:
        name, part = _named(column)
        shape = self._table.shape(column) or (1,)
        return Site(name, part, depth, column, shape, shape, None)

    def read(self, step: int, site: Site) -> np.ndarray:
        """Activations of shape (n, *site.stored_shape), by ``sample`` where there is such a column."""
        z = self._table.read(site.column, self._where(step))
        if z.ndim > 1 and z.shape[1:] != site.stored_shape:
            raise UserError(
                f"{self._table.path}: column '{site.column}' holds samples of shape {z.shape[1:]} at step {step}, of "
                f"{site.stored_shape} in its first row: a site has one shape throughout."
            )
        if self._ordered:
            if step not in self._orders:
                self._orders[step] = self._order(step)
            z = z if (order := self._orders[step]) is None else z[order]
        return z.reshape(len(z), *site.stored_shape)

    def _where(self, step: int) -> pc.Expression | None:
        return ds.field(STEP) == step if self._stepped else None

    def _order(self, step: int) -> np.ndarray | None:
        """The row of each held-out sample in turn; None where the rows stand in the order of the held-out file."""
        what = f"the place in the held-out file, at step {step}"
        where = f"{self._table.path}: column '{SAMPLE}' at step {step}"
        found = self._table.plain(SAMPLE, what, self._where(step))
        if self._ids is None:
            if found.dtype.kind == "U":
                raise UserError(
                    f"{where} holds words, such as '{found[0]}': give the held-out file a column '{SAMPLE}' of the "
                    "same ids, or write places in the held-out file, 0 to n - 1."
                )
            places = self._table.integers(SAMPLE, what, self._where(step))
        else:
            places = _joined(found, self._ids, where)
        wanted = np.arange(len(places))
        if (places == wanted).all():
            return None
        order = np.argsort(places, kind="stable")
        if not (places[order] == wanted).all():
            occurring, counts = np.unique(places, return_counts=True)
            outside = occurring[(occurring < 0) | (occurring >= len(places))]
            wrong = f"{outside[0]} is there" if len(outside) else f"{occurring[counts > 1][0]} comes more than once"
            raise UserError(
                f"{where} must hold each place in the held-out file, 0 to {len(places) - 1}, once: {wrong}."
            )
        return order


def _joined(found: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray:
    """The place among the held-out file's ids of each id that was found; -1 where there is none."""
    words = found.dtype.kind == "U"
    if words != (ids.dtype.kind == "U"):
        raise UserError(f"{where} holds {'words' if words else 'numbers'}, and the held-out file's does not.")
    place = {one: index for index, one in enumerate(ids.tolist())}
    unknown = [one for one in found.tolist() if one not in place]
    if unknown:
        raise UserError(f"{where} holds {unknown[0]!r}, which the held-out file's column '{SAMPLE}' lacks.")
    return np.array([place[one] for one in found.tolist()], np.int64)


def _named(column: str) -> tuple[str, str]:
    """Site and part of a column: ``block3.f`` is the part f, anything else a sum of its own."""
    name, _, part = column.rpartition(".")
    return (name, part) if name and part in PARTS else (column, "z")


def _depths(columns: Sequence[str], path: Path) -> dict[str, int]:
    """Column -> depth: the order of the sites, in which the parts of one addition share a place.

    Raises `UserError` where two columns are the same part of one site.
    """
    named = [_named(column) for column in columns]
    for column, one in zip(columns, named, strict=True):
        if named.count(one) > 1:
            others = [other for other, same in zip(columns, named, strict=True) if same == one and other != column]
            raise UserError(f"{path}: columns '{column}' and '{others[0]}' are the same site: rename one.")
    order = by_number(list(dict.fromkeys(name for name, _ in named)))
    return {column: order.index(name) for column, (name, _) in zip(columns, named, strict=True)}


def by_number(names: Sequence[str]) -> list[str]:
    """Names in their order; those of one stem with a number, where they stand sorted as words, by that number.

    ``layer1, layer10, layer2`` is what a writer makes that sorts its columns, and no order of depth.
    """
    stems: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if found := re.fullmatch(r"(.*?)(\d+)(\D*)", name):
            stems.setdefault((found[1], found[3]), []).append(name)
    places = {name: name for name in names}
    for (before, after), alike in stems.items():
        if alike == sorted(alike):
            numbered = sorted(alike, key=lambda name: int(name[len(before) : len(name) - len(after)]))
            places |= zip(alike, numbered, strict=True)
    return [places[name] for name in names]


@dataclass(frozen=True)
class ForeignSubject(Subject):
    """A run that was trained elsewhere: activations and held-out samples in Parquet files of any writer.

    x and y: the held-out file's columns; None where there is none: what would be decoded is constant then, and flagged.
    group: the column of ids of samples that belong together; None: `GROUP` where there is one. amounts: whole numbers
    in x are amounts. regressing: the families that would take them for such.
    """

    UNEQUAL: ClassVar[str] = "give every step one row for each held-out sample"

    x: str | None = field(default="x", kw_only=True)
    y: str | None = field(default="label", kw_only=True)
    group: str | None = field(default=None, kw_only=True)
    amounts: bool = field(default=False, kw_only=True)
    regressing: tuple[str, ...] = field(default=(), kw_only=True)

    @cached_property
    def _held_out(self) -> Table:
        return Table(self.held_out_path)

    @cached_property
    def activations(self) -> ForeignActivations:  # type: ignore[override]
        assert self.activations_path is not None
        ids = None
        if SAMPLE in self._held_out.schema.names:
            ids = self._held_out.plain(SAMPLE, "the sample's id")
            if len(np.unique(ids)) < len(ids):
                raise UserError(f"{self.held_out_path}: column '{SAMPLE}' holds an id more than once.")
        return ForeignActivations(self.activations_path, ids)

    @property
    def classifies(self) -> bool:
        """Y is classes here."""
        return True

    def _own_targets(self) -> Targets:
        table = self._held_out
        if self.x is None and self.y is None:
            raise UserError("neither X nor Y is given: name at least one column of the held-out file.")
        inputs, labels, groups = np.zeros(table.rows), np.zeros(table.rows, np.int64), None
        if self.y is not None:
            labels = as_labels(self._values(self.y, "the label Y"), f"{self.held_out_path}: column '{self.y}'")
        if self.x is not None:
            where = f"{self.held_out_path}: column '{self.x}'"
            inputs = as_inputs(self._values(self.x, "the input X"), where, self.amounts, self.regressing, FLAG)
        group = self.group or (GROUP if GROUP in table.schema.names else None)
        if group is not None:
            groups = as_ids(
                self._values(group, "samples that belong together"), f"{self.held_out_path}: column '{group}'"
            )
        return prepare(inputs, labels, self.device, groups)

    @property
    def image_notes(self) -> list[str]:
        """There are no notes on the images."""
        return []

    @property
    def status(self) -> dict[str, object]:
        """Also the sites by depth, and whether that is the order of their numbers and not of the columns."""
        sites = list(dict.fromkeys(site.name for site in self.sites))
        return super().status | {"sites": sites, "renumbered": self.activations.renumbered}

    def _values(self, name: str, what: str) -> np.ndarray:
        """A column of the held-out file, of one value or a list of numbers per row."""
        self._held_out.require(name, what)
        return self._held_out.anything(name)

    def read(self, step: int, site: Site) -> Tensor:
        """Activations of shape (n, *site.stored_shape), in the order of the held-out file, on the device.

        float64 values beyond `LARGEST`, whose squares overflow, are infinite, and those below `SMALLEST` are 0.
        """
        z = super().read(step, site)
        if z.dtype == torch.float64:
            z = torch.where(z.abs() > LARGEST, torch.inf, torch.where(z.abs() < SMALLEST, 0, z))
        if not z.is_floating_point():
            z = as_samples(z, f"{self.activations_path}: column '{site.column}'").to(self.device)
        return z
