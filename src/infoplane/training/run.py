"""One training run: from a spec and two splits to checkpoints and a history.

The loop is the same for networks that learn side by side (`stack`): each of them has its own history and checkpoints.
"""

import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor

from infoplane.data.samples import Split, read_split
from infoplane.errors import UserError
from infoplane.models.build import is_chain
from infoplane.progress import progress
from infoplane.provenance import made, versions
from infoplane.specs import TrainSpec
from infoplane.storage.checkpoints import checkpoint_name, read_tensors, write_tensors
from infoplane.training.history import write_history
from infoplane.training.learner import Learner, Solo, part
from infoplane.training.schedule import learning_rate
from infoplane.training.state import StateFolder, digest

SAVE_EVERY_SECONDS = 30.0


def train(
    spec: TrainSpec,
    train_split: Path,
    validation_split: Path,
    checkpoints: Path,
    history: Path,
    state_folder: Path,
    device: torch.device,
) -> None:
    """Train one network and write its checkpoints (safetensors) and history (Parquet), both atomically.

    An interrupted call leaves its state in ``state_folder``; the next call with the same spec, data and code goes on
    from there. A run whose loss or weights are no longer finite ends as ``diverged``, with the checkpoints and rows
    that it has. Raises `UserError` for splits that cannot be read.
    """
    reproducible()
    images, validation = read_split(train_split), read_split(validation_split)
    folder = StateFolder(state_folder / digest(spec, Path(__file__), train_split, validation_split))
    run = Run([spec], Solo(spec, images, validation, device), images, folder, device)
    run.to_the_end()
    run.write([(checkpoints, history)])


def reproducible() -> None:
    """Have a GPU compute the same bits every time."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


@dataclass
class Record:
    """What is kept of one network on its way."""

    saved_steps: list[int] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    diverged_at: int | None = None

    def saved(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"rows": [row | {"value": _word(row["value"])} for row in self.rows]}

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        """What `saved` gave."""
        rows = [row | {"value": _number(row["value"])} for row in values["rows"]]
        return cls(**values | {"rows": rows})


def _word(value: Any) -> Any:
    """Make a number for JSON, which has no nan; a member that has diverged holds some."""
    return value if value is None or math.isfinite(value) else str(value)


def _number(word: Any) -> Any:
    """What `_word` was given."""
    return float(word) if isinstance(word, str) else word


class Run:
    """One network, or several side by side, on the way through training."""

    def __init__(
        self, specs: Sequence[TrainSpec], learner: Learner, images: Split, folder: StateFolder, device: torch.device
    ) -> None:
        """specs: of each member of the learner; they differ in their seed alone."""
        self.specs, self.learner, self.images, self.folder, self.device = specs, learner, images, folder, device
        self.training = specs[0].training
        self.checkpoint_steps = set(self.training.checkpoints.taken(self.training.steps))
        self.step = 0
        self.records = [Record() for _ in specs]
        self.seconds, self.last_save = 0.0, time.monotonic()
        self.interrupted = 0
        self.booked = self._resume()

    def to_the_end(self) -> None:
        """Train until the last step or until all have diverged; SIGTERM or Ctrl-C saves the state and ends the process.

        A second Ctrl-C does not wait for it.
        """
        previous = {signum: signal.signal(signum, self._interrupt) for signum in (signal.SIGTERM, signal.SIGINT)}
        try:
            todo = range(self.step, self.training.steps + 1)
            for step in progress(todo, "training", self.training.steps, self.step):
                self.step = step
                started = time.perf_counter()
                if not self.booked and self._due(step):
                    self._book()
                self.booked = False
                if not self._going() or step == self.training.steps:
                    break
                if self.interrupted or time.monotonic() - self.last_save > SAVE_EVERY_SECONDS:
                    self._save_state()
                if self.interrupted:
                    print(f"interrupted at step {step}; the state is kept", file=sys.stderr)
                    raise SystemExit(128 + self.interrupted)
                self._update(step)
                self.seconds += time.perf_counter() - started
        finally:
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def write(self, outputs: Sequence[tuple[Path, Path]]) -> None:
        """Write each member's checkpoints and history, and forget the state.

        When and where they were made is kept in the history, which has seconds anyway: checkpoints of the same spec are
        the same bytes.
        """
        here = made()
        if self.device.type == "cuda":
            here["machine"] = f"{torch.cuda.get_device_name(self.device)}; {here['machine']}"
        saved: list[dict[str, Tensor]] = [{} for _ in self.specs]
        for step in sorted({step for record in self.records for step in record.saved_steps}):
            tensors, _ = read_tensors(self.folder.checkpoint_path(step))
            for member, kept in enumerate(saved):
                kept |= {checkpoint_name(step, name): value for name, value in part(tensors, f"{member}/").items()}
        for member, (checkpoints, history) in enumerate(outputs):
            metadata = self.metadata(member)
            write_tensors(checkpoints, saved[member], metadata)
            write_history(history, self.records[member].rows, metadata | {"made": here})
        self.folder.remove()

    @cached_property
    def trivial(self) -> dict[str, float]:
        """Validation loss and metrics of the answer of who has learned nothing."""
        return self.learner.trivial()

    def metadata(self, member: int) -> dict[str, Any]:
        """What is kept beside a member's checkpoints and history."""
        record = self.records[member]
        beside = {"stacked_seeds": [spec.seed for spec in self.specs]} if len(self.specs) > 1 else {}
        return beside | {
            "spec": self.specs[member].to_dict(),
            "data": self.images.metadata.get("spec"),
            **self.learner.task.described(),
            "trivial": self.trivial,
            "parameters": self.learner.parameters,
            "chain": is_chain(self.specs[member].architecture, self.specs[member].shortcut),
            "steps": record.saved_steps,
            "batches_per_epoch": self.learner.batches_per_epoch,
            "status": "finished" if record.diverged_at is None else "diverged",
            "diverged_at": record.diverged_at,
            "device": self.device.type,
            "versions": versions(),
        }

    def _due(self, step: int) -> bool:
        return step in self.checkpoint_steps or step % self.training.log_every == 0

    def _going(self) -> list[int]:
        """The members that have not diverged."""
        return [member for member, record in enumerate(self.records) if record.diverged_at is None]

    def _update(self, step: int) -> None:
        """One optimiser step."""
        self.learner.update(step, learning_rate(self.training, step), self._due(step + 1))

    def _book(self) -> None:
        """Add a row to each history, and a checkpoint where one is due; notice divergence."""
        sums, scores = self.learner.sums.tolist(), self.learner.evaluate()
        rate = learning_rate(self.training, min(self.step, self.training.steps - 1))
        place = {"step": self.step, "epoch": self.step / self.learner.batches_per_epoch}
        for member in self._going():
            (*totals, count), validation, record = sums[member], scores[member], self.records[member]
            norm = self.learner.gradient_norms[member]
            if not all(map(math.isfinite, (totals[0], validation["loss"], norm or 0.0))):
                record.diverged_at = self.step
            train = {name: total / count for name, total in zip(validation, totals, strict=True)} if count else {}
            others = {"learning_rate": rate, "gradient_norm": norm, "seconds": self.seconds}
            record.rows += [
                place | {"split": split, "quantity": name, "value": value}
                for split, values in (("train", train), ("validation", validation), (None, others))
                for name, value in values.items()
                if value is not None
            ]
        self.learner.sums.zero_()
        if self.step in self.checkpoint_steps and (going := self._going()):
            weights = self.learner.weights()
            kept = {f"{member}/{name}": value for member in going for name, value in weights[member].items()}
            write_tensors(self.folder.checkpoint_path(self.step), kept, {})
            for member in going:
                self.records[member].saved_steps.append(self.step)
            self._save_state()

    def _save_state(self) -> None:
        self.folder.save(
            self.learner.state() | {"sums": self.learner.sums},
            {
                "step": self.step,
                "records": [record.saved() for record in self.records],
                "gradient_norms": [_word(norm) for norm in self.learner.gradient_norms],
                "seconds": self.seconds,
            },
        )
        self.last_save = time.monotonic()

    def _resume(self) -> bool:
        """Take up the latest state, if any; whether there was one."""
        found = self.folder.load()
        if found is None:
            return False
        tensors, values = found
        records = [Record.restored(record) for record in values["records"]]
        try:
            for step in {step for record in records for step in record.saved_steps}:
                read_tensors(self.folder.checkpoint_path(step))
        except UserError:
            return False
        self.learner.load_state(tensors)
        self.learner.sums.copy_(tensors["sums"])
        self.learner.gradient_norms = [_number(word) for word in values["gradient_norms"]]
        self.step, self.records, self.seconds = values["step"], records, values["seconds"]
        print(f"resumed at step {self.step}", file=sys.stderr)
        return True

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        self.interrupted = signum
        signal.signal(signal.SIGINT, signal.default_int_handler)
