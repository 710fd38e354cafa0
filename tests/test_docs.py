"""What the documentation says is true: links lead somewhere, examples run, tables name what there is."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import training
from fitting import CLASSIFICATION

from infoplane import registry
from infoplane.activations.dump import dump
from infoplane.activations.file import ActivationsFile
from infoplane.charts.frames import Tables
from infoplane.config.load import load
from infoplane.config.plan import sites
from infoplane.errors import UserError
from infoplane.measures.targets import prepare
from infoplane.models.residual import Additions
from infoplane.models.sites import visited
from infoplane.options import Field, NoOptions, image, label, vector
from infoplane.specs import ActivationsSpec, Plugin, TrainSpec
from infoplane.tables import MEASURES, collect
from infoplane.task import Task
from infoplane.testing import results as synthetic_results
from infoplane.training.run import train

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "config/README.md"])


def relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def blocks(page: str, language: str) -> list[str]:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def example(first_line: str) -> ModuleType:
    """The plug-in of CONTRIBUTING.md whose docstring starts with this, as a module."""
    (source,) = (block for block in blocks("CONTRIBUTING.md", "python") if block.startswith(f'"""{first_line}'))
    module = ModuleType("example")
    exec(source, module.__dict__)
    return module


# Links


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{relative(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


NAMED = re.compile(
    r"(?<![\w/.{}-])((?:config|docs|profiles|scripts|envs|bench|workflow|src)/[\w./-]*\w\.(?:yaml|md|py|sh|smk|json|svg|png))\b"
)
"""A file of this repository, by its path from the root."""


def test_files_that_are_named_are_there() -> None:
    """In pages, comments, profiles and code; tests name made-up ones."""
    patterns = ("*.md", "docs/*", "config/**/*", "profiles/*/*", "envs/*", "constraints.txt", "Makefile", "Snakefile")
    paths = {
        path
        for one in (*patterns, "workflow/**/*", "scripts/*", "src/**/*.py", "bench/*.py")
        for path in REPOSITORY.glob(one)
    }
    named = 0
    for path in sorted(path for path in paths if path.suffix in (".md", ".yaml", ".py", ".smk", ".txt", ".json", "")):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for name in NAMED.findall(text):
            named += 1
            assert (REPOSITORY / name).exists(), f"{relative(path)} names {name}"
    assert named > 50


# How to add a plug-in


def test_the_shortcut_and_the_architecture_of_the_guide_work_together(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"shortcut": example("s = -x"), "architecture": example("Two additions")}
    monkeypatch.setattr(registry, "load", lambda role, name: modules[role])
    options, fields = modules["architecture"].Options(), (image(1, 8, 8), vector(10))
    network = modules["architecture"].Network(
        options, *fields, Additions("negative", {}, options, options.additions(*fields))
    )
    images = torch.randn(3, 1, 8, 8)
    assert network(images).shape == (3, 10)
    declared = sites(options.places(*fields), Plugin("identity"))  # has an s at each addition, like the guide's
    assert {"block1.s", "block1.f", "block1.z", "block2.z", "logits.z"} <= set(declared)
    assert list(visited(network, images).items()) == list(declared.items())


def test_the_measure_of_the_guide_tells_the_input_from_noise() -> None:
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(200, 3)), np.arange(200) % 2
    targets = prepare(inputs, labels, torch.device("cpu"))
    module = example("Nearest neighbour")
    (same,) = module.estimate(torch.from_numpy(inputs), targets, NoOptions())
    (noise,) = module.estimate(torch.from_numpy(random.normal(size=(200, 3))), targets, NoOptions())
    assert same.value < 0.3 and noise.value > 1.5  # a neighbour's noise adds to one's own: 2 for noise


def test_the_data_set_of_the_guide_loads(tmp_path: Path) -> None:
    module = example("Random pixels")
    options = module.Options(size=20)
    images = module.load(options, tmp_path)
    assert images["x"].shape == (20, 1, 8, 8) and images["y"].max() < options.fields["y"].classes


def test_the_task_of_the_guide_judges_each_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("Absolute error")
    monkeypatch.setattr(registry, "load", lambda role, name: module)
    numbers = Field((2,), "d", "float32")
    task, of = Task(Plugin("absolute"), {"x": numbers, "y": numbers}), {"y": torch.tensor([[0.0, 1.0], [2.0, 5.0]])}
    output = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    assert task.losses(output, of).tolist() == [0.5, 1.5] and task.scores(output, of)["mae"].tolist() == [0.5, 1.5]
    assert torch.equal(torch.vmap(task.losses)(output[None], {"y": of["y"][None]})[0], task.losses(output, of))
    train = {"y": torch.tensor([[0.0, 0.0], [1.0, 2.0], [9.0, 2.0]])}
    assert task.trivial(train, of).tolist() == [[1.0, 2.0], [1.0, 2.0]]
    with pytest.raises(UserError, match="'y' holds classes: this task needs numbers"):
        Task(Plugin("absolute"), {"x": numbers, "y": label(3)})


def test_the_chart_of_the_guide_draws(results: Path) -> None:
    module = example("Z-X of the last block")
    tables = results / "results/demo/tables"
    chart = module.draw(Tables.read(tables / "measures.parquet", tables / "history.parquet"), module.Options())
    assert chart.to_dict()["concat"][0]["encoding"]["y"]["field"] == "zx"


# How to read the results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, splits: dict[str, Path]) -> Path:
    """A folder with the results that the examples read: one real run, and tables of made-up ones."""
    folder = tmp_path_factory.mktemp("docs")
    demo, run, device = folder / "results/demo", "resnet/identity/seed0", torch.device("cpu")
    checkpoints = demo / "train" / run / "checkpoints.safetensors"
    network = Plugin("resnet", {"width": 4, "blocks": 2}), Plugin("identity")
    spec = TrainSpec(*network, Plugin("classification", CLASSIFICATION), training(steps=4, warmup=1), 0)
    train(spec, splits["train"], splits["validation"], checkpoints, demo / "history.parquet", folder / "state", device)
    reading = ActivationsSpec(["*"], "float16", {}, {}, 100, 0)
    dump(reading, checkpoints, splits["train"], splits["held_out"], demo / "activations" / f"{run}.parquet", device)
    runs = synthetic_results.experiment(folder / "runs")
    collect(runs, synthetic_results.config(), demo / "tables/measures.parquet", demo / "tables/history.parquet")
    return folder


@pytest.mark.parametrize("block", blocks("docs/how-it-works.md", "python"), ids=lambda block: block.split("\n")[0])
def test_examples_run(
    results: Path, block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results)
    names: dict[str, Any] = {}
    exec(block, names)
    if "print(" in block:
        assert len(capsys.readouterr().out.splitlines()) > 4
    if "z" in names:
        run = ActivationsFile(Path("results/demo/activations/resnet/identity/seed0.parquet"))
        site = next(site for site in run.sites if site.column == ("block1.z" if "about" in names else "logits.z"))
        np.testing.assert_array_equal(names["z"], run.read(run.steps[-1], site))


def test_the_table_of_a_state_that_is_kept(
    splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more images wanted than there are, all are taken."""
    kept, device = tmp_path / "results/kept", torch.device("cpu")
    run = kept / "activations/mlp/reversible/seed0.parquet"
    network = Plugin("mlp", {"width": 8, "blocks": 2}), Plugin("reversible")
    spec = TrainSpec(*network, Plugin("classification", CLASSIFICATION), training(steps=4, warmup=1), 0)
    train(spec, splits["train"], splits["validation"], kept / "c", kept / "h", kept / "state", device)
    reading = ActivationsSpec(["stem.z", "block*.[mz]"], "float32", {}, {}, 100, 0)
    dump(reading, kept / "c", splits["train"], splits["held_out"], run, device)
    (kept / "data").mkdir()
    (kept / "data/held_out.parquet").write_bytes(splits["held_out"].read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    (block,) = blocks("docs/shortcuts.md", "python")
    exec(block, names)
    steps = ActivationsFile(run).steps
    assert f"shape: ({2 * 3 * len(steps)}, " in capsys.readouterr().out
    assert {(row["network"], row["site"], row["n"]) for row in names["rows"]} == {
        ("mlp", site, n) for site in ("stem.z", "block2.m") for n in (128, 256, 512)
    }
    zx = [[row["value"] for row in names["rows"] if row["site"] == site] for site in ("stem.z", "block2.m")]
    assert all(0 < value < 1 for values in zx for value in values) and zx[0] != zx[1]


def test_every_column_of_the_tables_is_explained() -> None:
    text = (REPOSITORY / "docs/how-it-works.md").read_text(encoding="utf-8")
    for column in MEASURES:
        assert f"`{column}`" in text


# The configuration


def test_what_the_readme_says_to_write_is_understood() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    entries = re.findall(r"`(\w+: \{.*?\})` under `(\w+)`", text)
    assert len(entries) >= 4
    for entry, section in entries:
        load(demo | {section: yaml.safe_load(entry)})
