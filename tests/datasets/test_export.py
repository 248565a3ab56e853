"""A dataset copied to a folder and to an object store: whole, partitioned, the same content, verified coming back."""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from raw_campaign import DEVICE, Maker, small_campaign

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.content_digest import dataset_digest
from cotenant.datasets.export import export_dataset, fetch_dataset, write_descriptions
from cotenant.datasets.features.choices import make_features
from cotenant.datasets.object_store import files_below, place_of
from cotenant.datasets.splits.derive import make_split
from cotenant.models.errors import UserError, WorkError
from cotenant.profiler.cli.dataset.export import command


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    made = small_campaign(folder, quads=3)
    other = {**DEVICE, "device_id": "cpu-1", "name": "Other CPU"}
    made.solo("vgg11@2", device=other)
    build_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A real S3-compatible server on loopback; yields the query that names it."""
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]: make test installs it")
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in keys}
    os.environ.update(keys)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.start()
        host, port = server.get_host_and_port()
        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="bucket")
    yield f"?endpoint_override={host}:{port}&scheme=http"
    server.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_partitions_are_real_columns_too_and_the_content_is_the_same(campaign: Path, tmp_path: Path) -> None:
    done = export_dataset(campaign, str(tmp_path / "out"), licence="cc-by-4.0")
    files = sorted((tmp_path / "out" / "executions").rglob("*.parquet"))
    assert len(files) == 5  # null, pair, self_test and solo of one device, solo of the other
    for path in files:
        found = pq.ParquetFile(path).read()
        kind, device = path.parent.name.partition("=")[2], path.parent.parent.name.partition("=")[2]
        assert pc.unique(found["kind"].cast(pa.string())).to_pylist() == [kind]
        assert pc.unique(found["device_id"].cast(pa.string())).to_pylist() == [device]
        assert found.schema.field("span_ns").metadata[b"unit"] == b"ns"
    assert dataset_digest(tmp_path / "out") == dataset_digest(campaign)
    report = check_dataset(tmp_path / "out")
    assert report.ok, report.findings
    assert done.file_count == len([path for path in (tmp_path / "out").rglob("*") if path.is_file()])


def test_exporting_again_replaces_and_leaves_nothing_stale(campaign: Path, tmp_path: Path) -> None:
    smaller = Maker(tmp_path / "smaller", quads=3)
    smaller.solo("resnet18@1")
    build_dataset(smaller.folder)
    export_dataset(campaign, str(tmp_path / "out"))
    export_dataset(smaller.folder, str(tmp_path / "out"))
    assert dataset_digest(tmp_path / "out") == dataset_digest(smaller.folder)
    again = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    export_dataset(smaller.folder, str(tmp_path / "out"))
    assert again == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_feature_sets_and_splits_come_along(campaign: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(campaign, tmp_path / "copy"))
    make_features(copy)
    make_split(copy, "random", seed=1)
    export_dataset(copy, str(tmp_path / "out"))
    made = [path for name in ("features", "splits") for path in (copy / "dataset" / name).rglob("*") if path.is_file()]
    assert len(made) >= 4
    for path in made:
        assert (tmp_path / "out" / path.relative_to(copy / "dataset")).read_bytes() == path.read_bytes()
    report = check_dataset(tmp_path / "out")
    assert report.ok, report.findings


def test_a_place_that_holds_something_else_is_refused(campaign: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and no exported dataset"):
        export_dataset(campaign, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_object_store_takes_it_and_gives_it_back(campaign: Path, store: str, tmp_path: Path) -> None:
    url = f"s3://bucket/l4/first{store}"
    export_dataset(campaign, url)
    system, path = place_of(url)
    assert "executions/device_id=cpu-0/kind=pair/part-0.parquet" in files_below(system, path)
    direct = pq.read_table(f"{path}/executions", filesystem=system)
    assert direct.num_rows == pq.read_table(campaign / "dataset" / "executions").num_rows
    fetch_dataset(url, tmp_path / "back")
    assert dataset_digest(tmp_path / "back") == dataset_digest(campaign)
    with system.open_output_stream(f"{path}/engines/part-0.parquet") as stream:
        stream.write(b"other bytes")
    with pytest.raises(WorkError, match=r"engines/part-0\.parquet is not the file"):
        fetch_dataset(url, tmp_path / "damaged")
    with pytest.raises(UserError, match="holds no exported dataset"):
        fetch_dataset(f"s3://bucket/nothing{store}", tmp_path / "none")
    with pytest.raises(UserError, match="is not empty"):
        fetch_dataset(url, tmp_path / "back")


def test_a_store_that_cannot_be_reached_is_one_line(campaign: Path) -> None:
    unreachable = "s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1&request_timeout=1"
    with pytest.raises((WorkError, UserError)):
        export_dataset(campaign, unreachable)


@pytest.mark.parametrize("url", ["nowhere://bucket/x", "s3:///"])
def test_a_url_that_nothing_knows_is_refused_without_its_secrets(campaign: Path, url: str) -> None:
    with pytest.raises(UserError) as told:
        export_dataset(campaign, url.replace("://", "://user:secret@") if "bucket" in url else url)
    assert "secret" not in str(told.value)


def test_the_memory_store_of_fsspec_serves_as_any_other_scheme(campaign: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="needs fsspec")
    export_dataset(campaign, "memory://copies/first")
    fetch_dataset("memory://copies/first", tmp_path / "back")
    assert dataset_digest(tmp_path / "back") == dataset_digest(campaign)


def test_the_card_says_what_hubs_and_people_need(campaign: Path, tmp_path: Path) -> None:
    export_dataset(campaign, str(tmp_path / "out"), name="Two CPUs", licence="cc-by-4.0")
    text = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["pretty_name"] == "Two CPUs"
    assert front["configs"][0]["config_name"] == "executions"
    for config in front["configs"]:
        assert list((tmp_path / "out").glob(config["data_files"][0]["path"])), config
    for name, table in TABLES.items():
        assert f"| `{name}` |" in text
        assert all(f"`{column.name}`" in text for column in table.columns)
    assert "Verdicts of experiments:" in text


def test_croissant_validates_and_its_records_are_the_tables(campaign: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant: make test installs it")
    export_dataset(campaign, str(tmp_path / "out"), licence="cc-by-4.0")
    write_descriptions(campaign, licence="cc-by-4.0")
    for place in (tmp_path / "out", campaign / "dataset"):
        told = json.loads((place / "croissant.json").read_text())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries below it
            read = mlcroissant.Dataset(jsonld=str(place / "croissant.json"))
            assert not read.metadata.issues.errors
            assert {each["@id"] for each in told["recordSet"]} == set(TABLES)
            devices = list(read.records("devices"))
            spans = [record["executions/span_ns"] for record in read.records("executions")]
        assert {record["devices/device_id"] for record in devices} == {b"cpu-0", b"cpu-1"}
        assert sorted(spans) == sorted(pq.read_table(campaign / "dataset" / "executions")["span_ns"].to_pylist())


def test_the_command_exports_describes_and_fetches(campaign: Path, tmp_path: Path, store: str) -> None:
    run = CliRunner()
    out = run.invoke(command, [str(campaign), "--to", str(tmp_path / "out"), "--licence", "mit", "--json"])
    assert out.exit_code == 0
    assert json.loads(out.output)["destination"] == str(tmp_path / "out")
    assert run.invoke(command, [str(campaign)]).output.startswith("README.md, croissant.json: ")
    url = f"s3://bucket/from-command{store}"
    assert run.invoke(command, [str(campaign), "--to", url]).exit_code == 0
    back = run.invoke(command, [url, "--to", str(tmp_path / "back")])
    assert back.exit_code == 0, back.output
    assert run.invoke(command, [url]).exit_code == 2
