"""Each command does its job on real files, and says so."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import onnx
from command_line import COMMAND, Cotenant
from tiny_campaign import write_net, write_spec

SENTENCE = re.compile(
    r"b slows a \d+\.\d\dx \[\d+\.\d\d, \d+\.\d\d\]( \(within noise\))?, "
    r"a slows b \d+\.\d\dx \[\d+\.\d\d, \d+\.\d\d\]( \(within noise\))?; "
    r"they (ran|did not run) concurrently \(gain \d+\.\d\)"
)


def test_models_list_has_names_families_and_counts(cotenant: Cotenant) -> None:
    listed = json.loads(cotenant("models", "list", "--json").out)
    counts = {entry["name"]: entry["parameter_count"] for entry in listed}
    assert counts["resnet50"] == 25_557_032
    assert {entry["family"] for entry in listed} >= {"resnet", "vgg", "vit", "convnext", "roberta", "yolov8"}
    shown = cotenant("models", "list").out
    assert re.search(r"^resnet50 .* 25,557,032 ", shown, re.MULTILINE)


def test_models_show_and_cost_scale_with_the_batch(cotenant: Cotenant) -> None:
    shown = json.loads(cotenant("models", "show", "resnet18:image=96", "--batch", "1,4", "--json").out)
    assert [facts["inputs"][0]["shape"] for facts in shown] == [[1, 3, 96, 96], [4, 3, 96, 96]]
    assert shown[0]["parameter_count"] == 11_689_512
    told = json.loads(cotenant("models", "cost", "resnet18:image=96", "--batch", "1", "--batch", "4", "--json").out)
    assert [cost["mac_count"] * 4 for cost in told["costs"][:1]] == [told["costs"][1]["mac_count"]]
    assert "resnet18:image=96" in cotenant("models", "show", "resnet18:image=96").out
    assert cotenant("models", "cost", "resnet18").out.count("\n") > 1


def test_operators_add_up_to_the_model(cotenant: Cotenant) -> None:
    told = json.loads(cotenant("models", "cost", "vit_ti_16:image=96", "--operators", "--json").out)["costs"][0]
    for count in ("mac_count", "flop_count", "read_bytes", "write_bytes"):
        assert sum(group[count] for group in told["operators"]) == told[count]
    shown = cotenant("models", "cost", "resnet18:image=96", "--operators").out
    assert re.search(r"^stage0.0.conv2 +Conv\+Add\+Relu +1x64x24x24 ", shown, re.MULTILINE)


def test_models_export_writes_graphs_over_one_weights_file(cotenant: Cotenant, tmp_path: Path) -> None:
    done = cotenant("models", "export", "resnet18:image=32", "--batch", "1,2", "--out", tmp_path / "onnx")
    assert done.code == 0, done.err
    *graphs, weights = map(Path, done.out.split())
    assert len(graphs) == 2
    for graph, batch_size in zip(graphs, (1, 2), strict=True):
        loaded = onnx.load(graph, load_external_data=False)
        assert loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch_size
        assert graph.stat().st_size < weights.stat().st_size / 10
    onnx.checker.check_model(graphs[0])


def test_build_makes_each_engine_once(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    arguments = ["build", "--model", f"file:{net}", "--batch", "1,2", "--out", tmp_path / "out"]
    built = json.loads(cotenant(*arguments, "--json").out)
    assert [engine["batch_size"] for engine in built] == [1, 2]
    assert len({engine["engine_id"] for engine in built}) == 2
    again = cotenant(*arguments)
    assert again.code == 0
    assert built[0]["engine_id"] in again.out
    assert "2 engines" in again.out


def test_without_out_the_same_command_finds_its_folder_again(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert cotenant("build", "--model", f"file:{net}").code == 0
    assert len(list(tmp_path.glob("build-*"))) == 1
    assert cotenant("build", "--model", f"file:{net}", "--batch", "2").code == 0
    assert len(list(tmp_path.glob("build-*"))) == 2


def test_profile_tells_latency_with_bounds(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    arguments = ["profile", "--model", f"file:{net}", "--out", tmp_path / "out"]
    done = cotenant(*arguments)
    assert done.code == 0, done.err
    assert re.search(r"net\.onnx.* 1 +\d+\.\d{3} +\[\d+\.\d{3}, \d+\.\d{3}\]", done.out)
    (profile,) = json.loads(cotenant(*arguments, "--json").out)
    assert profile["span_p50_lower_ns"] <= profile["span_p50_ns"] <= profile["span_p50_upper_ns"]
    assert profile["sample_count"] >= 256
    assert profile["block_count"] >= 8
    assert profile["throughputs"][0]["counter_source"] == "analytic"


def test_colocate_two_files_ends_with_the_plain_sentence(cotenant: Cotenant, tmp_path: Path) -> None:
    # executions of milliseconds: of microseconds, lanes wait for the host and nothing is told of running beside
    net = write_net(tmp_path / "large.onnx", channels=64, side=192)
    other = write_net(tmp_path / "other.onnx", seed=1, channels=48, side=192)
    arguments = ["colocate", "--model", f"file:{net}", "--model", f"file:{other}", "--out", tmp_path / "out"]
    done = cotenant(*arguments)
    assert done.code == 0, done.err
    assert SENTENCE.search(done.out), done.out
    assert f"a = file:{net}@1" in done.out
    assert f"b = file:{other}@1" in done.out
    assert cotenant("dataset", "check", tmp_path / "out").code == 0
    told = json.loads(cotenant(*arguments, "--json").out)
    assert SENTENCE.match(told["sentence"])


def test_probes_are_built_profiled_and_paired_like_models(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    built = json.loads(cotenant("build", "--model", "probe:cache:050", "--batch", "1,2", "--json").out)
    assert [(engine["model"], engine["batch_size"]) for engine in built] == [("probe:cache:50", 1)]
    arguments = ["profile", "--model", "probe:compute:10", "--out", tmp_path / "solo"]
    done = cotenant(*arguments)
    assert done.code == 0, done.err
    assert re.search(r"^probe:compute:10 +1 +\d+\.\d{3} ", done.out, re.MULTILINE)
    assert len(json.loads(cotenant(*arguments, "--json").out)) == 1
    pairs = [{"kind": "pair", "pairs": [[f"file:{net}@1", "probe:dram:10@1"]]}]
    spec = write_spec(tmp_path / "pair.yaml", [f"file:{net}", "probe:dram:10"], experiments=pairs)
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "pair")
    assert done.code == 0, done.err
    assert cotenant("dataset", "check", tmp_path / "pair").code == 0


def test_a_campaign_is_measured_checked_and_described(cotenant: Cotenant, finished: Path) -> None:
    status = json.loads(cotenant("campaign", "status", finished, "--json").out)
    assert status["done_count"] == status["planned_count"] > 0
    assert (status["failed_count"], status["running"]) == (0, False)
    assert "experiments done; not running" in cotenant("campaign", "status", finished).out
    checked = cotenant("dataset", "check", finished)
    assert (checked.code, "all hold" in checked.out) == (0, True)
    assert json.loads(cotenant("dataset", "check", finished, "--json").out)["ok"] is True
    described = cotenant("dataset", "describe", finished / "dataset")
    assert described.code == 0
    assert "net.onnx" in described.out
    assert json.loads(cotenant("dataset", "describe", finished, "--json").out)


def test_a_finished_campaign_is_not_measured_again(cotenant: Cotenant, finished: Path, finished_once: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (finished / "raw").iterdir()}
    done = cotenant("campaign", "run", finished_once / "tiny.yaml", "--out", finished)
    assert done.code == 0
    assert {path.name: path.stat().st_mtime_ns for path in (finished / "raw").iterdir()} == before
    assert "already there" in done.err


def test_dataset_build_derives_the_same_tables_again(cotenant: Cotenant, finished: Path) -> None:
    before = tables(finished)
    assert before
    done = cotenant("dataset", "build", finished)
    assert done.code == 0
    assert str(finished / "dataset") in done.out
    assert tables(finished) == before


def tables(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in (out / "dataset").rglob("*.parquet")}


def test_without_a_terminal_progress_is_plain_lines_on_stderr(cotenant: Cotenant, net: Path) -> None:
    done = cotenant("build", "--model", f"file:{net}", "--batch", "1,2,3")
    assert "engines 3/3: " in done.err
    assert "\x1b" not in done.err
    assert "engines 3/3" not in done.out


def test_on_a_terminal_progress_is_a_bar(cotenant: Cotenant, net: Path) -> None:
    ours, theirs = pty.openpty()
    environment = cotenant.environment | {"TERM": "xterm"}
    command: list[str | Path] = [COMMAND, "build", "--model", f"file:{net}", "--batch", "1,2,3"]
    with subprocess.Popen(command, cwd=net.parent, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = read_all(ours)
    assert process.returncode == 0, shown
    assert "3/3" in shown
    assert "\x1b[" in shown


def read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # Linux tells the end of a terminal as EIO
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode(errors="replace")
