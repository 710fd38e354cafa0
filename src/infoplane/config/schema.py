"""The configuration of an experiment: every key, its meaning and its default.

Identity and labels: everything here changes results except ``experiment``, ``results``, ``device``, ``slots``,
``disk``, ``reuse``, ``claims``, ``training.stack_seeds`` (beyond rounding) and the labels of plug-ins, which only name
things. Every default is ours unless its description says otherwise. The plug-in sections are read against each
plug-in's own ``Options`` in `infoplane.config.plugins`.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from infoplane.config import written
from infoplane.config.claims import Claim, each_once
from infoplane.config.written import LABEL, LARGEST_SEED, LONGEST_LABEL

PluginSection = dict[str, dict[str, Any] | None]
Folder = Annotated[str, AfterValidator(written.folder)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Samples = Annotated[list[Annotated[int, Field(ge=8, le=1_000_000)]], AfterValidator(each_once)]

MOST_CHECKPOINTS = 100_000
MOST_DRAWS = 100_000


class Section(BaseModel):
    """A mapping in which an unknown key is an error, and so is an infinite number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Checkpoints(Section):
    """Step 0, then log-spaced steps, then even ones; or in stages of even ones."""

    log: int = Field(10, ge=0, le=MOST_CHECKPOINTS, description="log-spaced checkpoints between step 1 and log_until")
    log_until: int = Field(160, ge=1, description="step at which log spacing ends")
    linear: int = Field(4, ge=0, le=MOST_CHECKPOINTS, description="even checkpoints from log_until to the last step")
    stages: list[tuple[int, int]] | None = Field(
        None, description="instead of these, pairs [until, every]: each multiple of every up to step until, in turn"
    )

    @model_validator(mode="after")
    def _stages_go_on(self) -> "Checkpoints":
        ends = [until for until, _ in self.stages or ()]
        if self.stages is not None and (not ends or ends != sorted(set(ends)) or min(ends[0], *self._every()) < 1):
            raise ValueError(
                f"stages must be pairs [until, every] with ascending steps, got {written.shown(self.stages)}"
            )
        return self

    def _every(self) -> list[int]:
        return [every for _, every in self.stages or ()]


class Training(Section):
    """How every network learns; an architecture may override any of it."""

    steps: int = Field(640, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=1, description="images per step; each epoch is a fresh permutation")
    optimizer: Literal["sgd", "adamw", "adam"] = Field("sgd", description="SGD with Nesterov momentum, AdamW, or Adam")
    learning_rate: float = Field(0.1, gt=0, description="peak learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum; beta1 of AdamW and Adam")
    weight_decay: float = Field(0.0005, ge=0, description="on weight matrices; not on biases and gains")
    schedule: Literal["constant", "cosine"] = Field("constant", description="after the warm-up")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    log_every: int = Field(20, ge=1, description="steps between rows of the history, besides every checkpoint")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: autocast in training")
    stack_seeds: bool = Field(
        False,
        description="train all seeds of a network side by side in one job; on a CPU pays for small dense networks",
    )
    checkpoints: Checkpoints = Checkpoints()

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Training":
        if self.warmup >= self.steps:
            raise ValueError(f"warmup ({self.warmup}) must be shorter than steps ({self.steps})")
        return self

    @model_validator(mode="after")
    def _checkpoints_can_be_kept(self) -> "Training":
        stages = self.checkpoints.stages or ()
        starts = (0, *(until for until, _ in stages))
        each = zip(starts, stages, strict=False)
        count = sum((min(until, self.steps) - start) // every for start, (until, every) in each)
        if count > MOST_CHECKPOINTS:
            raise ValueError(f"checkpoints.stages are {count} checkpoints, which is more than {MOST_CHECKPOINTS}")
        return self


class Data(Section):
    """Which images, and how they are split; every other key is an option of the data set."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field("digits", description="the data set")
    held_out: Annotated[int, Field(ge=2)] | Literal["all"] = Field(
        400,
        description="held-out images: everything is measured on them, no network is trained on them; all: every image, "
        "trained on or not",
    )
    validation: int = Field(
        197, ge=1, description="images for the accuracy shown beside it; no network is trained on them either"
    )
    train: int | None = Field(None, ge=1, description="training samples; null: all that are left")
    split_seed: Seed = Field(0, description="seed of the stratified split")
    folder: Folder = Field("datasets", description="where downloads are kept")

    @field_validator("held_out", mode="before")
    @classmethod
    def _some_or_all(cls, held_out: Any) -> Any:
        text = isinstance(held_out, str) and held_out.isdecimal()  # the command line hands over strings
        count = int(held_out) if text else held_out
        if count != "all" and (not isinstance(count, int) or count < 2):
            raise ValueError(f"expected a number of samples, at least 2, or 'all', got {written.shown(held_out)}")
        return count

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Task(Section):
    """What is learned of which fields, and by what it is judged; every other key is an option of the task."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field("classification", description="the task")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Activations(Section):
    """What is read out of every checkpoint; patterns are shell-style over ``site.part``, such as ``block*.z``."""

    sites: list[str] = Field(["*.z"], min_length=1, description='patterns; "*" also reads every s and f')
    dtype: Literal["float16", "float32"] = Field("float32", description="how activations are stored")
    pool: dict[str, Size] = Field(
        {}, description="pattern -> positions left along height, width and time, averages; the longest pattern decides"
    )
    project: dict[str, Size] = Field({}, description="pattern -> dimensions of a fixed random projection; likewise")
    recalibration: int = Field(512, ge=0, description="training images for BatchNorm statistics; 0: keep running ones")
    seed: Seed = Field(0, description="seed of the random projections and of image_noise")
    image_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation, in units of the data's, of normal noise on the held-out images, drawn anew at "
        "every checkpoint of every run; X and Y stay those of the clean images",
    )


class Disk(Section):
    """Room for activations, by far the largest results; their size is predicted before anything runs."""

    budget: float | Literal["auto", "none"] = Field(
        "auto", description="GB (10^9 bytes) for all runs together; auto: what is free on the disk; none: no limit"
    )

    @field_validator("budget", mode="before")
    @classmethod
    def _an_amount(cls, budget: Any) -> Any:
        if budget in ("auto", "none"):
            return budget
        try:
            amount = float(budget)  # on the command line everything is a string
        except (TypeError, ValueError):
            amount = math.nan
        if isinstance(budget, bool) or not 0 < amount < math.inf:
            raise ValueError(f"expected a number of GB above 0, 'auto' or 'none', got {written.shown(budget)}")
        return amount


class AccuracyOfOne(Section):
    """What differs for one measure family; null: as for all."""

    seeds: int | None = Field(None, ge=2, le=MOST_DRAWS, description="repeats per distribution")
    coverage_draws: int | None = Field(
        None, ge=0, le=MOST_DRAWS, description="repeats at least, where intervals are judged"
    )
    samples: Samples | None = Field(None, min_length=1, description="sample sizes")
    distributions: list[str] | None = Field(None, min_length=1, description="patterns over the distributions' names")


class Accuracy(Section):
    """What ``snakemake accuracy`` draws for every measure family from distributions whose values are known."""

    seeds: int = Field(10, ge=2, le=MOST_DRAWS, description="repeats per distribution and sample size")
    coverage_draws: int = Field(
        0,
        ge=0,
        le=MOST_DRAWS,
        description="repeats at least for continuous distributions of up to 4 dimensions; from 40 on the table says "
        "how often value +- 1.96 stderr holds the truth",
    )
    samples: Samples = Field([1000], min_length=1, description="sample sizes")
    distributions: list[str] = Field(["*"], min_length=1, description="patterns over the distributions' names")
    families: dict[str, AccuracyOfOne] = Field({}, description="label of a measure -> what differs for it")


class Phases(Section):
    """How curves become phases: fit depth, compression height, labels and differences between shortcuts."""

    family: str = Field("auto", description="measure's label; auto: kernel where it was measured")
    margin: float = Field(0.01, ge=0, description="a change up to this share of the reference counts as zero")
    level: float = Field(0.95, gt=0.5, lt=1, description="of intervals, and how sure a label must be")
    resamples: int = Field(
        1000, ge=100, le=MOST_DRAWS, description="for the step of the turn and for correlations; else formulas"
    )
    nulls: int = Field(
        200, ge=0, le=MOST_DRAWS, description="simulated curves that never move, per architecture, shortcut and site"
    )
    reference: str = Field(
        "identity",
        description="shortcut that the others are compared with: a label, or a kind that exactly one label has",
    )


class Reconstructions(Section):
    """Inputs and what a decoder makes of them from the last block, X -> g(Z), for the report."""

    images: int = Field(5, ge=0, le=1000, description="held-out images per network; 0: none")
    checkpoints: int = Field(4, ge=2, description="first, last and the most telling between them")


class Histograms(Section):
    """How activations are distributed, for the report."""

    bins: int = Field(40, ge=0, le=10_000, description="per site and checkpoint; 0: none")
    checkpoints: int = Field(8, ge=2, description="evenly chosen, first and last among them")


class Figures(Section):
    """Charts for print, as SVG and PDF."""

    width: float = Field(6.75, ge=2, le=20, description="inches; letters keep their size where the chart has room")


class Animation(Section):
    """The first information plane as a moving picture, for talks."""

    format: Literal["none", "gif", "mp4"] = Field("gif", description="none: no picture; mp4 needs infoplane[mp4]")
    seconds: float = Field(8.0, ge=1, le=60, description="how long it takes")


class Experiment(Section):
    """One experiment: data x architectures x shortcuts x seeds, its measures and its charts."""

    experiment: str = Field(
        "demo", pattern=LABEL, max_length=LONGEST_LABEL, description="names the folder results/<experiment>"
    )
    results: Folder = Field("results", description="where results go")
    plugins: list[Folder] = Field(
        [], description="folders of your own plug-ins, such as mine: mine/measures/knn.py is the measure family knn"
    )
    data: Data = Data()
    task: Task = Task()
    architectures: PluginSection = Field({"resnet": None}, description="label -> options; kind: the label's plug-in")
    shortcuts: PluginSection = Field({"identity": None}, description="label -> options; kind: the label's plug-in")
    seeds: list[Seed] = Field([0], description="one run per architecture, shortcut and seed")
    training: Training = Training()
    activations: Activations = Activations()
    disk: Disk = Disk()
    targets: dict[str, str] = Field(
        {}, description="label -> field of the data set that is decoded at the same sites as what the task learns"
    )
    measures: PluginSection = Field({"kernel": None}, description="label -> options; kind: the label's plug-in")
    charts: PluginSection = Field(
        {"information_plane": None}, description="label -> options; kind: the label's plug-in"
    )
    claims: dict[str, Claim] = Field({}, description="label -> what is claimed; each gets a verdict")
    phases: Phases = Phases()
    reconstructions: Reconstructions = Reconstructions()
    histograms: Histograms = Histograms()
    figures: Figures = Figures()
    animation: Animation = Animation()
    accuracy: Accuracy = Accuracy()
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    slots: int = Field(1, ge=1, le=1000, description="jobs that may share one GPU")
    reuse: bool = Field(True, description="take runs and measures that any experiment below results has made already")

    @model_validator(mode="after")
    def _grid_is_not_empty(self) -> "Experiment":
        for name in ("architectures", "shortcuts", "seeds", "measures"):
            if not getattr(self, name):
                raise ValueError(f"{name}: empty, so there is nothing to run: name at least one")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: must be distinct and not negative, got {written.shown(self.seeds)}")
        return self
