"""The configuration of an experiment: every key, its meaning and its default.

Identity and labels: everything here changes results except ``experiment``, ``results``, ``device``, ``slots`` and the
labels of architectures and shortcuts, which only name things. Every default is ours unless its description says
otherwise. The plug-in sections are read against each plug-in's own ``Options`` in `infoplane.config.plugins`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PluginSection = dict[str, dict[str, Any] | None]

LABEL = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class Section(BaseModel):
    """A mapping in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Checkpoints(Section):
    """Step 0, then log-spaced steps, then even ones."""

    log: int = Field(10, ge=0, description="log-spaced checkpoints between step 1 and log_until")
    log_until: int = Field(160, ge=1, description="step at which log spacing ends")
    linear: int = Field(4, ge=0, description="even checkpoints from log_until to the last step")


class Training(Section):
    """How every network learns; an architecture may override any of it."""

    steps: int = Field(640, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=1, description="images per step; each epoch is a fresh permutation")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="SGD with Nesterov momentum, or AdamW")
    learning_rate: float = Field(0.1, gt=0, description="peak learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum; AdamW's beta1")
    weight_decay: float = Field(0.0005, ge=0, description="on weight matrices; biases and gains are spared")
    schedule: Literal["constant", "cosine"] = Field("constant", description="after the warm-up")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    label_noise: float = Field(0.0, ge=0, le=1, description="share of training labels replaced by a random class")
    log_every: int = Field(20, ge=1, description="steps between rows of the history, besides every checkpoint")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: autocast in training")
    checkpoints: Checkpoints = Checkpoints()

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Training":
        if self.warmup >= self.steps:
            raise ValueError(f"warmup ({self.warmup}) must be shorter than steps ({self.steps})")
        return self


class Data(Section):
    """Which images, and how they are split; every other key is an option of the data set."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field("digits", description="the data set")
    probe: int = Field(400, ge=2, description="held-out samples on which everything is measured")
    validation: int = Field(197, ge=1, description="held-out samples for the accuracy shown beside it")
    train: int | None = Field(None, ge=1, description="training samples; null: all that are left")
    split_seed: int = Field(0, ge=0, description="seed of the stratified split")
    folder: str = Field("datasets", description="where downloads are kept")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Activations(Section):
    """What is read out of every checkpoint; patterns are shell-style over ``site.part``, such as ``block*.z``."""

    sites: list[str] = Field(["*.z"], min_length=1, description='patterns; "*" also reads every s and f')
    dtype: Literal["float16", "float32"] = Field("float32", description="how activations are stored")
    pool: dict[str, int] = Field({}, description="pattern -> side of the grid a feature map is averaged to")
    project: dict[str, int] = Field({}, description="pattern -> dimensions of a fixed random projection")
    recalibration: int = Field(512, ge=0, description="training images for BatchNorm statistics; 0: keep running ones")
    seed: int = Field(0, ge=0, description="seed of the random projections")


class Experiment(Section):
    """One experiment: data x architectures x shortcuts x seeds, its measures and its charts."""

    experiment: str = Field("demo", pattern=LABEL, description="names the folder results/<experiment>")
    results: str = Field("results", description="where results go")
    data: Data = Data()
    architectures: PluginSection = Field({"resnet": None}, description="label -> options; kind: the label's plug-in")
    shortcuts: PluginSection = Field({"identity": None}, description="label -> options; kind: the label's plug-in")
    seeds: list[int] = Field([0], description="one run per architecture, shortcut and seed")
    training: Training = Training()
    activations: Activations = Activations()
    measures: PluginSection = Field({"kernel": None}, description="label -> options; kind: the label's plug-in")
    charts: PluginSection = Field({"information_plane": None}, description="chart -> options")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    slots: int = Field(1, ge=1, description="jobs that may share one GPU")

    @model_validator(mode="after")
    def _grid_is_not_empty(self) -> "Experiment":
        for name in ("architectures", "shortcuts", "seeds", "measures"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty, so there is nothing to run: name at least one")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be distinct and not negative, got {self.seeds}")
        return self
