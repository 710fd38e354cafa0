"""Whatever arrays and files come in: a value, a value with a note, or one sentence, and within ten seconds."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import draws
from drawn_inputs import FORMS, IN_FILES, OF_ARRAYS, VALUES, Measurer
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.sampled_from([60, 60, 40, 40, 30, 20, 12, 9, 8, 2, 1, 0])
SHAPES = st.sampled_from([[2], [], [1], [7], [80], [2, 3], [1, 4, 4]])


def arrays(values: list[str], forms: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"values": st.sampled_from(values), "form": st.sampled_from(forms), "shape": SHAPES, "seed": st.integers(0, 9)}
    )


def one_replaced(plain: dict[str, st.SearchStrategy[Any]], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Plain arrays by name, at most two of which are replaced: with all awkward, only the first would be seen."""
    return st.builds(
        lambda given, names, others: given | {name: others[name] for name in names},
        st.fixed_dictionaries(plain),
        st.sets(st.sampled_from(sorted(plain)), max_size=2),
        st.fixed_dictionaries(dict.fromkeys(plain, other)),
    )


PLAIN = arrays(
    ["normal", "signed", "heavy", "repeated rows", "steep", "one outlier", "offset"], ["as it is", "float32"]
)
LABELS = st.fixed_dictionaries(
    {"values": st.sampled_from(["classes", "few", "words", "truth"]), "form": st.sampled_from(["as it is", "lists"])}
    | {"shape": st.sampled_from([[], [1]]), "seed": st.integers(0, 9)}
)
DRAWN_ARRAYS = st.builds(
    lambda arrays, more: arrays | more,
    one_replaced(
        {"z": PLAIN, "x": PLAIN | st.none(), "y": LABELS | st.none(), "group": st.none()},
        arrays(sorted(VALUES), sorted(FORMS)) | LABELS,
    ),
    st.fixed_dictionaries({"family": st.sampled_from(OF_ARRAYS), "n": SIZES, "amounts": st.booleans()}),
)

COLUMNS = arrays(sorted(set(VALUES) - {"words", "one-hot"}), ["as it is", "as it is", "null", "ragged", "inner null"])
PLACES = st.fixed_dictionaries(
    {
        "places": st.sampled_from(["shuffled", "in order", "doubled"]),
        "type": st.sampled_from(["int64", "uint32", "uint64", "float64"]),
    }
)
SITES = ["b.s", "b.f", "b.z", "b", "layer1", "layer10", "layer2", "logits.z"]
DRAWN_TABLES = st.builds(
    lambda sites, chosen, step, sample, held_out, more: (
        {
            "activations": {name: sites[name] for name in chosen} | step | sample,
            "held_out": held_out,
        }
        | more
    ),
    one_replaced(dict.fromkeys(SITES, PLAIN), COLUMNS),
    st.sampled_from([SITES[:3], SITES[:3], SITES[4:7], ["b", "logits.z"], ["layer1"], ["b", "b.z"]]),
    st.sampled_from([{}, {"step": {"step": 1}}, {"step": {"step": 2}}]),
    st.just({}) | st.fixed_dictionaries({"sample": PLACES}),
    one_replaced({"x": PLAIN, "y": LABELS, "group": LABELS}, COLUMNS | LABELS),
    st.fixed_dictionaries(
        {
            "family": st.sampled_from(IN_FILES),
            "n": SIZES,
            "x": st.sampled_from(["x"] * 6 + [None, "absent"]),
            "y": st.sampled_from(["y", "y", "y", None]),
            "amounts": st.booleans(),
        }
    ),
)


@pytest.fixture(scope="module")
def measurer() -> Iterator[Measurer]:
    started = Measurer()
    yield started
    started.stop()


@draws(200, 1300)
@given(described=DRAWN_ARRAYS)
def test_any_arrays_give_a_value_a_note_or_a_sentence(measurer: Measurer, described: dict[str, Any]) -> None:
    assert measurer.ask(described).startswith(("value", "note", "sentence"))


@draws(100, 700)
@given(described=DRAWN_TABLES)
def test_any_tables_give_a_value_a_note_or_a_sentence(measurer: Measurer, described: dict[str, Any]) -> None:
    assert measurer.ask(described).startswith(("value", "note", "sentence"))


def test_what_hangs_is_killed(measurer: Measurer, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"values": "normal", "form": "as it is", "shape": [2], "seed": 0}
    asked = {"family": "neural", "n": 60, "z": plain, "x": plain, "y": None, "group": None, "amounts": False}
    monkeypatch.setattr("drawn_inputs.SECONDS", 0)
    assert measurer.ask(asked) == "no answer in 0 s"
    assert not measurer.running
