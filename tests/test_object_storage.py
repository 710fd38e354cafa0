"""Results in object storage: made as they are here, and what looks for them on this machine is refused."""

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from workflow import Workflow, tiny

MISSING = [name for name in ("snakemake_storage_plugin_s3", "moto") if not find_spec(name)]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no S3 server, {' and '.join(MISSING)}: pip install '.[object-storage-test]'"
)

BUCKET, PREFIX = "bucket", "some/where"
MADE = ("data/held_out.parquet", "tables/measures.parquet", "phases/phases.parquet", "charts/plane.svg")
PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "kubernetes" / "config.yaml").read_text())


def experiment() -> dict[str, Any]:
    """One run of one measure, with a chart and pictures."""
    return tiny() | {
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"identity": None},
        "measures": {"linear": None},
        "charts": {"plane": {"kind": "information_plane"}},
        "reuse": False,
    }


class Bucket:
    """A bucket on an S3 server of this machine."""

    def __init__(self, address: str) -> None:
        import boto3

        self.address = address
        self.client = boto3.client(
            "s3", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        )
        self.client.create_bucket(Bucket=BUCKET)

    def read(self, key: str) -> bytes:
        found: bytes = self.client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/results/tiny/{key}")["Body"].read()
        return found


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Bucket(f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def on(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Snakemake's arguments for results in the bucket, as the profile for Kubernetes has them."""
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_ACCESS_KEY", "a")
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_SECRET_KEY", "b")
    asked = {name: PROFILE[name] for name in ("default-storage-provider", "shared-fs-usage")}
    asked |= {"default-storage-prefix": f"s3://{BUCKET}/{PREFIX}", "storage-s3-endpoint-url": bucket.address}
    return [word for name, value in asked.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    return Workflow.copy_to(tmp_path_factory.mktemp("stored"), experiment())


def test_it_comes_to_the_same_as_here(workflow: Workflow, bucket: Bucket, on: list[str], tmp_path: Path) -> None:
    said = workflow.snakemake(*on).stdout
    assert f"results: s3://{BUCKET}/{PREFIX}/results/tiny" in said
    assert not (workflow.results / "tables").exists()
    assert "Nothing to be done" in workflow.snakemake(*on).stdout
    here = Workflow.copy_to(tmp_path / "here", experiment())
    here.snakemake()
    for name in MADE:
        assert bucket.read(name) == (here.results / name).read_bytes(), name
    pages = bucket.read("report.html").decode(), (here.results / "report.html").read_text()
    pictures = [page.count("<img") + page.count("data:image/png") for page in pages]
    assert pictures[0] == pictures[1] > 0


@pytest.mark.parametrize("target", ["partial", "purge", "archive", "why"])
def test_what_looks_for_results_here_is_refused(target: str, workflow: Workflow, on: list[str]) -> None:
    done: subprocess.CompletedProcess[str] = workflow.snakemake(target, *on, check=False)
    assert done.returncode != 0
    sentence = f"error: {target}: the results lie in object storage, s3://{BUCKET}/{PREFIX}/results/tiny: copy them"
    assert sentence in done.stdout
