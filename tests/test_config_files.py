"""A configuration file as Snakemake reads it: which key stands twice, and what of a claim reaches other pages."""

from pathlib import Path

from workflow import Workflow, tiny

EVIL = "</script><script>alert(1)</script>"
CLAIM = {"sentence": EVIL, "source": EVIL, "provenance": "ours", "quantity": "label", "expected": "flat", "of": "none"}


def test_what_snakemake_is_told_of_a_configuration(tmp_path: Path) -> None:
    config = tiny() | {"shortcuts": {"none": None}, "claims": {"evil": CLAIM}, "results": "a b [1] é"}
    checkout = Workflow.copy_to(tmp_path, config)
    # Snakemake's own report puts parameters, which a dry run prints too, into a page as they are.
    said = checkout.snakemake("-n", "-p", f"a b [1] é/{config['experiment']}/verdicts/verdicts.md").stdout
    assert r"\u003c/script>\u003cscript>alert(1)" in said and EVIL not in said
    with checkout.config.open("a") as file:
        file.write("seeds: [5]\n")
    line = checkout.config.read_text().splitlines().index("seeds: [5]") + 1
    refused = checkout.snakemake("-n", check=False)
    assert refused.returncode != 0
    assert "error: experiment.yaml: the key 'seeds' is there twice, in lines " in refused.stdout
    assert f" and {line}: keep one of them, or the first is lost." in refused.stdout
