"""Claims: what is accepted, and that every verdict is the one that planted curves deserve."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from conftest import REPOSITORY
from planted_experiment import BOTH, FROZEN, SKIPS, STEPS, Planted, said
from workflow import tiny

from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.phases import verdicts as table
from infoplane.phases.analysis import Settings, write
from infoplane.phases.results import TABLES
from infoplane.storage.parquet import write_rows

OLDEST = pl.CompatLevel.oldest()


@pytest.fixture(scope="module")
def clear() -> Planted:
    """One network that skips fitting, one that goes through both phases, one that never moves."""
    return Planted({("cnn", "a"): SKIPS, ("cnn", "b"): BOTH, ("cnn", "c"): FROZEN})


CLEAR: list[tuple[dict[str, Any], str]] = [
    ({"versus": "b"}, "reproduced"),
    ({"of": "b", "versus": "a"}, "not reproduced"),
    ({"of": "b", "versus": "a", "expected": "greater"}, "reproduced"),
    ({"versus": "c", "expected": "less"}, "not reproduced"),  # the same within the margin
    ({"versus": "c", "expected": "equal"}, "reproduced"),
    ({"versus": "b", "expected": "equal"}, "not reproduced"),
    ({"expected": "equal"}, "reproduced"),
    ({"of": "b", "expected": "greater"}, "reproduced"),
    ({"of": "b", "expected": "greater", "versus": 0.3}, "not reproduced"),
    ({"of": "b", "expected": "greater", "margin": 0.25}, "not reproduced"),
    ({"quantity": "compression_height", "expected": "greater"}, "reproduced"),
    ({"quantity": "compression_height", "of": "c", "expected": "greater"}, "not reproduced"),
    ({"quantity": "start", "versus": "b"}, "reproduced"),
    ({"quantity": "end", "versus": "b", "expected": "greater"}, "not reproduced"),
    ({"quantity": "label_gain", "expected": "greater", "versus": 1.0}, "reproduced"),
    ({"quantity": "accuracy", "expected": "greater", "versus": 0.5}, "reproduced"),
    ({"quantity": "accuracy", "versus": "b", "expected": "less"}, "not reproduced"),
    ({"quantity": "label", "expected": "compression-only"}, "reproduced"),
    ({"quantity": "label", "expected": "two-phase"}, "not reproduced"),
    ({"quantity": "label", "of": "b", "expected": "two-phase"}, "reproduced"),
    ({"quantity": "label", "of": "c", "expected": "flat"}, "reproduced"),
]


@pytest.mark.parametrize("claim, verdict", CLEAR)
def test_planted_curves_get_the_verdict_they_deserve(claim: dict[str, Any], verdict: str, clear: Planted) -> None:
    assert clear.verdict(**claim) == verdict


def test_noise_that_drowns_the_effect_decides_nothing() -> None:
    noisy = Planted({("cnn", "a"): (0.30, 0.29, 0.31), ("cnn", "b"): (0.30, 0.28, 0.31)}, seeds=2, noise=0.05)
    assert noisy.verdict(versus="b") == "undecided"
    assert noisy.verdict(versus="b", expected="equal") == "undecided"
    row = noisy.judge({"quantity": "label", "expected": "two-phase"}).row(0, named=True)
    assert row["verdict"] == "undecided" and row["found"] == "ambiguous" and row["note"].startswith("ambiguous: ")


def test_effects_are_those_of_the_table_of_differences(clear: Planted) -> None:
    phases = clear.analysed(reference="a")
    rows = clear.judge({"versus": "b"}, {"of": "b", "versus": "a", "expected": "greater"}, phases=phases)
    found = phases.differences.filter(pl.col("quantity") == "fit_depth", pl.col("shortcut") == "b").row(0, named=True)
    one, other = rows.to_dicts()
    for name, end in (("effect", ""), ("effect_low", "_low"), ("effect_high", "_high")):
        assert one[name] == pytest.approx(found[f"difference{end}"], abs=1e-12)
    assert other["effect"] == pytest.approx(-one["effect"]) and other["effect_low"] == pytest.approx(
        -one["effect_high"]
    )
    assert one["effect"] == pytest.approx(-0.2, abs=0.01) and (one["n"], one["seeds"]) == (300, 4)
    alone = clear.judge({"of": "b", "expected": "greater"}).row(0, named=True)
    row = clear.phases.phases.filter(pl.col("seed").is_null(), pl.col("shortcut") == "b").row(0, named=True)
    assert alone["effect"] == pytest.approx(row["fit_depth"]) and alone["effect_low"] == pytest.approx(
        row["fit_depth_low"]
    )


def test_many_claims_make_each_harder(clear: Planted) -> None:
    high = clear.judge({"versus": "b"})["effect_high"][0]
    claim = {"versus": "b", "margin": -0.999 * high}  # the interval alone is just beyond it
    alone, among = (clear.judge(*[claim] * count).row(0, named=True) for count in (1, 10))
    assert (alone["verdict"], among["verdict"]) == ("reproduced", "undecided")
    assert among["p_adjusted"] == pytest.approx(min(1.0, 10 * alone["p_adjusted"]))
    assert (alone["effect"], alone["effect_low"]) == (among["effect"], among["effect_low"])


def test_the_turns_step(clear: Planted) -> None:
    late = Planted({("cnn", "a"): (0.60, 0.40, 0.50), ("cnn", "b"): (0.60, 0.40, 0.50)}, turn=6)
    early = late.measures.filter(pl.col("shortcut") == "b")
    sooner = Planted({("cnn", "a"): (0.60, 0.40, 0.50)}, turn=3)
    late.measures = pl.concat([sooner.measures, early], how="diagonal")
    phases = late.analysed(reference="b")
    assert late.judge({"quantity": "turn_step", "versus": "b"}, phases=phases)["verdict"].to_list() == ["reproduced"]
    turned = late.judge({"quantity": "turn_step", "versus": "b", "expected": "greater"}, phases=phases).row(
        0, named=True
    )
    assert turned["verdict"] == "not reproduced"
    assert turned["effect"] in (STEPS[3] - STEPS[6], STEPS[4] - STEPS[6])  # smoothing may move a sharp turn by one
    row = clear.judge({"quantity": "turn_step", "of": "b", "versus": "c"}).row(0, named=True)
    assert row["verdict"] == "undecided" and "phases.reference" in row["note"]


UNFIT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"seeds": 1}, {"versus": "b"}, "one seed, so it is not known how much seeds differ"),
    ({"absent": (("cnn", "b", 1),)}, {"versus": "b"}, "cnn with b: left out: seed 1 missing"),
    ({"untaught": (("cnn", "b"),)}, {"versus": "b"}, "cnn with b did not learn (validation accuracy 10%)"),
    ({}, {"versus": "b", "site": "blokc1"}, "cnn with a has no site 'blokc1'"),
]


@pytest.mark.parametrize("made, claim, reason", UNFIT)
def test_what_cannot_be_judged_says_why(made: dict[str, Any], claim: dict[str, Any], reason: str) -> None:
    planted = Planted({("cnn", "a"): SKIPS, ("cnn", "b"): BOTH}, **made)
    row = planted.judge(claim).row(0, named=True)
    assert (row["verdict"], row["note"], row["effect"], row["p_adjusted"]) == ("undecided", reason, None, None)


@pytest.fixture(scope="module")
def more() -> Planted:
    """At the part m Z-X does not move; at unlimited n it is half; a rank without parts of the images falls to 5."""
    planted = Planted({("cnn", "a"): SKIPS, ("cnn", "b"): BOTH})
    of_x = pl.col("measure") == "zx"
    values = planted.measures.with_columns(pl.when(of_x).then(pl.col("value") / 2).alias("extrapolated"))
    passed = (pl.col("step").rank("dense") - 1) / (len(STEPS) - 1)
    jitter = pl.col("seed").cast(pl.Float64) * 0.02
    rank = values.filter(of_x).with_columns(
        (pl.when(pl.col("shortcut") == "a").then(20 - 15 * passed).otherwise(20 - 5 * passed) + jitter).alias("value"),
        pl.lit("rank").alias("measure"),
        pl.lit("health").alias("family"),
        pl.lit(None, pl.Float64).alias("reference"),
        pl.lit(None, pl.List(pl.Float64)).alias("blocks"),
    )
    still = values.with_columns(
        pl.lit("m").alias("part"),
        (pl.lit(0.05) + jitter / 100).alias("value"),
        pl.lit([0.05] * 20).alias("blocks"),
    )
    planted.measures = pl.concat([values, rank, still])
    return planted


@pytest.mark.parametrize(
    ("claim", "verdict", "effect"),
    [
        ({"quantity": "compression_height", "expected": "equal", "part": "m"}, "reproduced", 0.0),
        ({"quantity": "compression_height", "expected": "greater", "part": "m"}, "not reproduced", 0.0),
        ({"quantity": "end", "expected": "greater", "versus": 0.15}, "reproduced", 0.05),
        ({"quantity": "end", "expected": "greater", "versus": 0.15, "extrapolated": True}, "not reproduced", -0.05),
        ({"quantity": "end", "versus": "b", "expected": "less", "extrapolated": True}, "reproduced", -0.15),
        ({"quantity": "end", "versus": "b", "measure": "rank", "margin": 5}, "reproduced", -10.0),
        ({"quantity": "end", "versus": "b", "measure": "rank", "margin": 12}, "not reproduced", -10.0),
        ({"quantity": "start", "versus": 18, "measure": "rank", "expected": "greater"}, "reproduced", 2.03),
    ],
)
def test_other_parts_measures_and_the_value_at_unlimited_n(
    claim: dict[str, Any], verdict: str, effect: float, more: Planted
) -> None:
    row = more.judge(claim).row(0, named=True)
    assert row["verdict"] == verdict and row["effect"] == pytest.approx(effect, abs=0.01), row


def test_what_a_verdict_is_of_can_be_read(more: Planted) -> None:
    found = more.judge(
        {"quantity": "end", "part": "m", "expected": "equal", "versus": 0.05, "margin": 0.02},
        {"quantity": "end", "extrapolated": True},
        {"quantity": "end", "measure": "rank", "versus": "b"},
        {"quantity": "end", "measure": "lyrics"},
        {"quantity": "end", "part": "f"},
    )
    assert found["site"].to_list() == ["block1.m", "block1", "block1", "block1", "block1.f"]
    assert found["quantity"].to_list() == ["end", "extrapolated_end", "rank_end", "lyrics_end", "end"]
    assert found["family"].to_list() == ["kernel", "kernel", "health", "kernel", "kernel"]
    assert found["note"].to_list()[-2:] == [
        "lyrics at the part z of cnn with a was not measured",
        "X at the part f of cnn with a was not measured",
    ]
    assert found["verdict"].to_list()[-2:] == ["undecided", "undecided"]


def test_a_site_that_tells_the_label_from_the_start_is_no_network_that_did_not_learn() -> None:
    networks = {("cnn", "a"): SKIPS, ("cnn", "b"): BOTH}
    claim = {"quantity": "label", "expected": "compression-only"}
    assert Planted(networks, told_at_once=(("cnn", "a"),)).verdict(**claim) == "reproduced"
    blind = Planted(networks, told_at_once=(("cnn", "a"),), classes=None)
    assert "did not clearly learn the label at this site" in blind.judge(claim)["note"][0]


def test_a_network_that_does_not_learn_can_be_flat_and_can_start() -> None:
    planted = Planted({("cnn", "a"): FROZEN, ("cnn", "b"): BOTH}, untaught=(("cnn", "a"),))
    assert planted.verdict(quantity="label", expected="flat") == "reproduced"
    assert planted.verdict(quantity="start", versus="b") == "reproduced"
    assert planted.verdict(quantity="label", expected="two-phase") == "undecided"


def test_a_whole_claim_stands_with_all_its_comparisons_and_falls_with_one() -> None:
    networks = {(architecture, "a"): SKIPS for architecture in ("cnn", "mixer", "vit")}
    networks |= {("cnn", "b"): BOTH, ("mixer", "b"): SKIPS, ("vit", "b"): BOTH}
    planted = Planted(networks, untaught=(("vit", "b"),))
    rows = planted.judge({"versus": "b"})
    assert rows["architecture"].to_list() == ["all", "cnn", "mixer", "vit"]
    assert rows["verdict"].to_list() == ["not reproduced", "reproduced", "not reproduced", "undecided"]
    assert rows["overall"].to_list() == [True, False, False, False]
    assert rows["note"][0] == "3 comparisons: 1 reproduced, 1 not reproduced, 1 undecided"
    two = planted.judge({"versus": "b", "architectures": ["cnn", "vit"]})
    assert two["verdict"].to_list() == ["undecided", "reproduced", "undecided"]
    one = planted.judge({"versus": "b", "architectures": ["cnn"]})
    assert one["verdict"].to_list() == ["reproduced"] and one["overall"].to_list() == [True]


def test_amplitude_against_the_gap() -> None:
    networks = {(a, s): (0.4 + 0.05 * k, 0.4, 0.5) for k, (a, s) in enumerate(itertools.product("uvw", "abc"), 1)}
    gaps = {network: 0.5 - 0.04 * k for k, network in enumerate(networks)}
    planted = Planted(networks, seeds=2, gaps=gaps)
    claim = {"quantity": "fit_depth_with_gap", "of": []}
    row = planted.judge(claim).row(0, named=True)
    assert row["verdict"] == "reproduced" and row["effect"] == pytest.approx(-1) and row["effect_high"] < -0.9
    assert row["note"] == "over 9 networks, each the mean of its seeds"
    assert planted.verdict(**claim | {"expected": "greater"}) == "not reproduced"
    few = planted.judge(claim | {"architectures": ["u"]}).row(0, named=True)
    assert few["verdict"] == "undecided" and few["note"].startswith("3 networks that learned")
    unrelated = Planted(
        networks, seeds=2, gaps=dict(zip(networks, [0.3, 0.1, 0.4, 0.2, 0.5, 0.15, 0.35, 0.25, 0.3], strict=True))
    )
    assert unrelated.verdict(**claim) == "undecided"


def test_the_files_hold_what_was_judged(clear: Planted, tmp_path: Path) -> None:
    found = clear.judge(
        {"versus": ["b", "c"]}, {"quantity": "label", "expected": "compression-only", "source": "a | b"}
    )
    for name in ("one", "two"):
        table.write(found, clear.phases.metadata, tmp_path / f"{name}.parquet", tmp_path / f"{name}.md")
    assert table.read(tmp_path / "one.parquet").equals(found)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    lines = (tmp_path / "one.md").read_text().splitlines()
    assert lines[2].startswith("| claim0 | cnn, block1 | fit depth of a less than b, c (margin 0.01) |")
    assert lines[3].startswith(
        "| claim1 | cnn, block1 | a: label is compression-only | compression-only | < .001 | reproduced |"
    )
    assert "- `claim1` (ours): It is so. [a | b]" in lines
    hostile = clear.judge({"sentence": "<script>x</script>\n| [a](javascript:b) `c`", "source": "<img src=x>"})
    table.write(hostile, clear.phases.metadata, tmp_path / "hostile.parquet", tmp_path / "hostile.md")
    said = (tmp_path / "hostile.md").read_text().splitlines()[-1]
    assert said.endswith(r"&lt;script&gt;x&lt;/script&gt; | \[a\](javascript:b) \`c\` [&lt;img src=x&gt;]")
    nothing = clear.judge()
    assert (
        nothing.schema == table.VERDICTS and table.markdown_table(nothing, 0.95) == "The experiment claims nothing.\n"
    )
    clear.measures.write_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="was not written by infoplane"):
        table.read(tmp_path / "other.parquet")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"quantity": "fit_dept"}, "claims.c.quantity: expected 'label', 'fit_depth', "),
    ({"versos": "b"}, "claims.c.versos: unknown key: did you mean 'versus'?"),
    ({"of": "identty"}, "claims.c.of: the experiment has no shortcut 'identty': did you mean 'identity'?"),
    ({"versus": "nun"}, "claims.c.versus: the experiment has no shortcut 'nun': choose from identity, projection"),
    ({"architectures": ["mpl"]}, "claims.c.architectures: the experiment has no architecture 'mpl': did"),
    ({"versus": ["projection", "identity"]}, "claims.c: 'identity' is compared with itself"),
    ({"of": []}, "claims.c: of: name at least one shortcut"),
    ({"expected": "flat"}, "claims.c: expected: of 'fit_depth' it is one of less, greater or equal, got 'flat'"),
    ({"quantity": "label"}, "claims.c: expected: of 'label' it is one of two-phase, compression-only"),
    ({"quantity": "fit_depth_with_gap"}, "claims.c: 'fit_depth_with_gap' is taken over all shortcuts"),
    ({"quantity": "turn_step"}, "claims.c: versus: 'turn_step' is compared with other shortcuts"),
    ({"quantity": "turn_step", "versus": "projection", "margin": 3}, "claims.c: 'turn_step' has no margin"),
    ({"quantity": "label", "expected": "flat", "part": "m"}, "claims.c: 'label' is that of the value of z: leave"),
    ({"quantity": "accuracy", "extrapolated": True}, "claims.c: 'accuracy' is that of the value of z: leave"),
    ({"measure": "effective_rank"}, "claims.c: of 'effective_rank' there is only start and end, got 'fit_depth'"),
    ({"part": "q"}, "claims.c.part: expected 's', 'f', 'z' or 'm'"),
    ({"provenance": "paper-verified"}, "claims.c.provenance: expected 'sourced', 'inferred' or 'ours'"),
]  # fmt: skip


@pytest.mark.parametrize("wrong, sentence", WRONG)
def test_wrong_claims_are_one_clear_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        load(tiny() | {"claims": {"c": said(of="identity") | wrong}})
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_what_a_claim_leaves_open_is_filled_in() -> None:
    claims = {"c": said(of="identity", versus="projection"), "d": said(quantity="fit_depth_with_gap", of=[])}
    plan = load(tiny() | {"claims": claims, "phases": {"margin": 0.02}})
    assert plan.claims["c"] == said(of=["identity"], versus=["projection"]) | {
        "architectures": ["mlp", "resnet"], "margin": 0.02, "site": "auto", "source": "",
        "measure": None, "part": "z", "extrapolated": False,
    }  # fmt: skip
    assert plan.claims["d"]["margin"] == 0.0


def documented(language: str) -> str:
    text = (REPOSITORY / "docs" / "verdicts.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_documented_claim_is_one(clear: Planted) -> None:
    shortcuts = {"identity": None, "none": None, "projection": None}
    plan = load(tiny() | {"shortcuts": shortcuts} | yaml.safe_load(documented("yaml")))
    assert plan.claims["is_fits_less"]["versus"] == ["none", "projection"]
    assert plan.claims["is_fits_less"]["margin"] == Settings().margin


def test_the_documented_count_of_false_alarms(
    clear: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results/nulls/phases").mkdir(parents=True)
    clear.phases.phases.write_parquet("results/nulls/phases/phases.parquet")
    exec(documented("python"), {})
    printed = re.findall(r"\d+\.?\d*", capsys.readouterr().out.split("single seeds")[0].split("over seeds")[1])
    assert [float(number) for number in printed] == [3, 2, pytest.approx(2 / 3)]  # one of the three never moves


def test_the_script_judges_what_the_workflow_hands_it(clear: Planted, tmp_path: Path) -> None:
    write_rows(tmp_path / "measures.parquet", clear.measures.to_arrow(compat_level=OLDEST), clear.metadata)
    paths = [tmp_path / f"{name}.parquet" for name in TABLES]
    write(clear.phases, paths)
    tables = ["--measures", tmp_path / "measures.parquet", "--phases", *paths]
    outputs = ["--table", tmp_path / "verdicts.parquet", "--markdown", tmp_path / "verdicts.md"]
    values = {"of": ["a"], "versus": ["b"], "architectures": ["cnn"], "site": "auto", "margin": 0.01, "source": ""}
    script = REPOSITORY / "scripts" / "verdicts.py"

    def run(claims: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, script, "--claims", json.dumps(claims), *tables, *outputs]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)

    refused = run([1])
    assert refused.returncode == 2 and refused.stderr.startswith("error: --claims is not a JSON object")
    assert not (tmp_path / "verdicts.parquet").exists()
    assert run({"c": said(**values)}).returncode == 0
    assert table.read(tmp_path / "verdicts.parquet")["verdict"].to_list() == ["reproduced"]
    assert "| c | cnn, block1 | fit depth of a less than b (margin 0.01) |" in (tmp_path / "verdicts.md").read_text()
