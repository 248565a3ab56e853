"""Results of another network under the same name are never taken for the present one's."""

import shutil
from pathlib import Path

from command_line import Cotenant
from tiny_campaign import write_net, write_spec


def raw_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "raw").glob("*.parquet")}


def test_a_network_that_changed_under_its_name_is_refused(cotenant: Cotenant, tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.onnx", seed=1)
    spec = write_spec(tmp_path / "tiny.yaml", [f"file:{net}"])
    assert cotenant("campaign", "run", spec, "--out", tmp_path / "out").code == 0
    before, engines = raw_files(tmp_path / "out"), engines_of(tmp_path / "out")
    write_net(net, seed=2)
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "out")
    assert done.code == 2
    assert str(net) in done.told
    assert "choose another --out" in done.told
    assert raw_files(tmp_path / "out") == before
    assert engines_of(tmp_path / "out") == engines


def engines_of(out: Path) -> set[str]:
    return {path.name for path in (out / "engines").iterdir()}


def test_two_names_of_one_network_are_refused_before_anything_is_measured(cotenant: Cotenant, tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.onnx")
    shutil.copy(net, tmp_path / "copy.onnx")
    spec = write_spec(tmp_path / "tiny.yaml", [f"file:{net}", f"file:{tmp_path / 'copy.onnx'}"])
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "out")
    assert done.code == 2
    assert "net.onnx" in done.told
    assert "copy.onnx" in done.told
    assert not (tmp_path / "out").exists()
