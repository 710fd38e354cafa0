"""Folders as people have them: read, refused in one sentence, or read with a note of what was left out."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draws
from data_sources import encode, paths, refused
from hypothesis import given
from hypothesis import strategies as st

from infoplane.data.prepare import prepare
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.specs import DataSpec, Plugin

SIZES: dict[str, Any] = {"held_out": 5, "validation": 4, "train": None, "seed": 0}


def picture(number: int) -> bytes:
    return encode(np.random.default_rng(number).integers(0, 256, (3, 8, 8), np.uint8))


def write(folder: Path, count: int = 10, start: int = 0) -> Path:
    """PNG files 00.png, 01.png and so on, each of its own."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:02}.png").write_bytes(picture(start + number))
    return folder


def folder(tmp_path: Path, *names: str) -> Path:
    """A folder with ten images of each class."""
    root = tmp_path / "own"
    for place, name in enumerate(names or ("cat", "dog")):
        write(root / name, start=100 * place)
    return root


def read(tmp_path: Path, root: Path | str, classes: int = 2, **options: Any) -> tuple[int, tuple[str, ...]]:
    """How many images were read, and the notes; they stand in the file of held-out images too."""
    plugin = Plugin("image_folder", {"path": str(root), "classes": classes, "side": 8} | options)
    notes = prepare(DataSpec(plugin, **SIZES), tmp_path, paths(tmp_path / "out"))
    splits = [read_split(path) for path in paths(tmp_path / "out").values()]
    assert splits[2].metadata.get("notes", []) == list(notes)
    return sum(len(split["y"]) for split in splits), notes


def refusal(tmp_path: Path, root: Path | str, **options: Any) -> str:
    return refused(
        tmp_path, "image_folder", {"path": str(root), "classes": 2, "side": 8} | options, held_out=5, validation=4
    )


# Layouts


def test_folders_of_splits_are_not_taken_for_classes(tmp_path: Path) -> None:
    root = tmp_path / "own"
    for place, split in enumerate(("train", "Test")):
        for label in range(2):
            write(root / split / ("cat", "dog")[label], start=1000 * place + 100 * label)
    assert refusal(tmp_path, root) == (
        f"{root} has the folders Test and train, which are names of splits, not of classes: set `path` to {root}/Test, "
        f"or to {root}/* to pool them."
    )
    flat = tmp_path / "flat"
    write(flat / "train")
    write(flat / "val", start=50)
    assert "names of splits, not of classes: put the images into one folder per class." in refusal(tmp_path, flat)
    assert read(tmp_path, f"{root}/*") == (40, ()) and read(tmp_path, root / "train") == (20, ())
    assert read_split(tmp_path / "out" / "held_out.parquet").fields["y"].names == ("cat", "dog")


def test_a_class_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    assert read(tmp_path, folder(tmp_path, "plane", "train")) == (20, ())


def test_copies_of_systems_and_notebooks_are_no_images(tmp_path: Path) -> None:
    root = folder(tmp_path)
    write(root / "cat" / ".ipynb_checkpoints")
    write(root / "__MACOSX" / "cat")
    write(root / "dog" / "@eaDir", start=300)
    (root / "cat" / "._00.png").write_bytes(b"Mac OS X")
    (root / "cat" / ".DS_Store").write_bytes(b"Bud1")
    assert read(tmp_path, root) == (20, (f"left out of {root}: hidden files and folders (3)",))


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for name in ("cat/a.heic", "cat/b.HEIC", "dog/notes", "00.png", "readme.txt"):
        (root / name).write_bytes(b"-")
    _, (note,) = read(tmp_path, root)
    assert note == f"left out of {root}: '.heic' files (2), 'notes' files (1), images in no class's folder (1)"


# Links, devices and names


@pytest.mark.parametrize(
    ("link", "target"), [("cat/up", ""), ("up", ""), ("cat/more/again", "/cat"), ("kitten", "/cat")]
)
def test_a_folder_that_is_met_twice_is_refused(link: str, target: str, tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(f"{root}{target}", target_is_directory=True)
    said = refusal(tmp_path, root, classes=2 if "/" in link else 3)
    assert f"{root}/{link} is the same folder as {root}{target}, by a link" in said


def test_links_to_elsewhere_are_followed(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "dog" / "more").symlink_to(write(tmp_path / "elsewhere", start=900), target_is_directory=True)
    assert read(tmp_path, root) == (30, ())


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("nowhere.png"), os.mkfifo])
def test_what_is_no_file_is_named(make: Callable[[Path], None], tmp_path: Path) -> None:
    root = folder(tmp_path)
    make(root / "cat" / "77.png")
    assert refusal(tmp_path, root).startswith(f"{root}/cat/77.png is not a file but a broken link or a device")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"), "which look the same: rename one"),
        ("cat", "cat ", "which look the same: rename one"),
        ("cat", "do\ng", "whose name cannot be printed: rename its folder"),
        ("cat", os.fsdecode(b"d\xff"), "whose name cannot be printed: rename its folder"),
        ("Cat", "cat", "note: classes whose names differ only in capitals: Cat and cat"),
        ("{m}[1]'\"<b>", "$(ls) `x`", "note: "),
    ],
)
def test_names_that_are_odd_or_look_the_same(first: str, second: str, said: str, tmp_path: Path) -> None:
    root = folder(tmp_path, first, second)
    if said.startswith("note: "):
        assert read(tmp_path, root) == (20, tuple(filter(None, [said.removeprefix("note: ")])))
    else:
        assert said in refusal(tmp_path, root)


@pytest.mark.parametrize(
    ("path", "said"),
    [("~nobody-here/x", "home directory"), ("a" * 300, "too long"), ("a\0b", "null byte"), ("a/**b/*", "entire path")],
)
def test_a_path_that_cannot_be_one(path: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, path)


@pytest.mark.parametrize(("option", "value"), [("side", 1_000_000), ("classes", 10**9)])
def test_sizes_that_no_memory_holds(option: str, value: int, tmp_path: Path) -> None:
    assert f"{option} must be at most" in refusal(tmp_path, folder(tmp_path), **{option: value})


# Drawn folders

AWKWARD: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.with_suffix(".png").write_bytes(b""),
    "text": lambda path: path.with_suffix(".jpg").write_text("<html>"),
    "cut": lambda path: path.with_suffix(".png").write_bytes(picture(3)[:70]),
    "a copy": lambda path: path.with_suffix(".png").write_bytes(picture(0)),
    "hidden": lambda path: (path.parent / f".{path.name}.png").write_bytes(picture(4)),
    "another size": lambda path: path.with_suffix(".png").write_bytes(encode(np.zeros((3, 3, 90), np.uint8))),
    "16 bit": lambda path: path.with_suffix(".png").write_bytes(encode(np.zeros((1, 8, 8), np.uint16))),
    "a folder": lambda path: write(path, 1, 700),
    "a link": lambda path: path.symlink_to(path.parent),
    "a loop": lambda path: path.symlink_to(path.name),
    "a dangling link": lambda path: path.with_suffix(".png").symlink_to("nowhere"),
    "a pipe": lambda path: os.mkfifo(path.with_suffix(".gif")),
    "not UTF-8": lambda path: (path.parent / os.fsdecode(b"\xff.png")).write_bytes(picture(5)),
    "no image": lambda path: path.with_suffix(".csv").write_text("a,b"),
    "a class": lambda path: write(path.parent.parent / path.name, 2, 800),
    "an empty class": lambda path: (path.parent.parent / path.name).mkdir(),
}


@draws(40, 500)
@given(
    names=st.lists(st.sampled_from(["cat", "Cat", "train", "test", "é", "e\u0301", " ", "{x}", "[1]"]), min_size=1,
                   max_size=3, unique=True),
    files=st.lists(st.tuples(st.sampled_from(sorted(AWKWARD)), st.integers(0, 2)), max_size=4),
    group=st.sampled_from(["", r"^(\d)", "(", "^(.*)$", "x"]),
    resize=st.sampled_from(["refuse", "crop", "stretch"]),
    held_out=st.sampled_from([3, "all"]),
)  # fmt: skip
def test_every_folder_gives_splits_or_one_sentence(
    names: list[str], files: list[tuple[str, int]], group: str, resize: str, held_out: int | str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    tmp_path = tmp_path_factory.mktemp("drawn")
    root = tmp_path / "own"
    for place, name in enumerate(names):
        write(root / name, 6, 100 * place)
    for number, (what, place) in enumerate(files):
        AWKWARD[what](root / names[place % len(names)] / f"z{number}")
    options = {"path": str(root), "classes": max(2, len(names)), "side": 8, "resize": resize, "group": group}
    spec = DataSpec(Plugin("image_folder", options), held_out, 3, None, 0)  # type: ignore[arg-type]
    out = paths(tmp_path / "out")
    try:
        prepare(spec, tmp_path, out)
    except UserError as error:
        assert "\n" not in str(error) and not any(path.exists() for path in out.values())
    else:
        splits = {name: read_split(path) for name, path in out.items()}
        if held_out != "all":
            met = {pixels.tobytes() for pixels in splits["held_out"]["x"]}
            alike = met & {pixels.tobytes() for name in ("train", "validation") for pixels in splits[name]["x"]}
            assert not alike or any("value by value" in note for note in splits["held_out"].metadata["notes"])
