"""The runner on CUDA lanes: devices and targets, probes, what may be asked of lanes, and who ends before whom."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_mps import install
from fake_nvml import Card, Machine, pynvml

from cotenant.models.errors import UserError, WorkError
from cotenant.models.model import Precision
from cotenant.runners import registry
from cotenant.runners.cuda import devices, mps, session
from cotenant.runners.cuda.device_source import SOURCE
from cotenant.runners.cuda.mps import PIPE, SHARE, VISIBLE
from cotenant.runners.cuda.probe_engines import load, plan_of
from cotenant.runners.cuda.probe_plan import ProbePlan, plan_probe
from cotenant.runners.cuda.runner import ISOLATIONS, CudaRunner, TargetOnly
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Device, Engine, Lane


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backend without engines. `missing` = not installed; `only` = the one card that it can execute on."""

    missing: bool = False
    only: str = ""
    targets: tuple[str, ...] = ("portable", "sm_89")

    name = "stand-in"
    loader = "nowhere:load"
    weights_shared = True

    def version(self) -> str:
        if self.missing:
            raise WorkError("stand-in is not installed; pip install it")
        return "1.2"

    def target(self, device: Device) -> str:
        if self.only not in device.name:
            raise WorkError(f"stand-in knows no {device.name}; update it")
        return f"{device.name} sm"

    def targets_without_device(self) -> Sequence[str]:
        if self.missing:
            raise WorkError("stand-in is not installed; pip install it")
        return self.targets

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int) -> str:
        return f"{model}-{batch_size}-{precision}-{target}-{build_index}"

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int
    ) -> Engine:
        raise WorkError(f"would build {self.engine_id(model, batch_size, precision, target, build_index)}")


RUNNER = CudaRunner(Backend())
L4 = Card("NVIDIA L4", 2, 58, 48 << 20, 24 << 30, (8, 9), 6_251_000, 192, 72_000)


def use(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = devices.survey_with(machine.nvml(), machine.driver)
    monkeypatch.setattr(devices, "survey", lambda: found)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Machine([Card(), L4]), monkeypatch)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Machine(nvml_error=pynvml.NVMLError_LibraryNotFound), monkeypatch)


def test_it_has_all_that_the_registry_asks_of_a_runner() -> None:
    assert [name for name in registry.REQUIRED if not hasattr(RUNNER, name)] == []
    assert (RUNNER.name, RUNNER.needs_gpu, RUNNER.session_per_experiment, RUNNER.version()) == (
        "stand-in",
        True,
        False,
        "1.2",
    )


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_found_by_index_uuid_and_name() -> None:
    first, second = RUNNER.devices()
    assert RUNNER.device(None) == RUNNER.device("0") == RUNNER.device(first.device_id) == first
    assert RUNNER.device("1") == RUNNER.device("nvidia l4") == second
    assert RUNNER.target(second) == "NVIDIA L4 sm"
    with pytest.raises(UserError, match=r"unknown device 'no-such-device'; there is 0 \(NVIDIA H100"):
        RUNNER.device("no-such-device")


@pytest.mark.usefixtures("two_gpus")
def test_a_target_can_be_named_beside_gpus_too() -> None:
    device = RUNNER.device("sm_89")
    assert isinstance(device, TargetOnly)
    assert RUNNER.target(device) == "sm_89"


@pytest.mark.usefixtures("two_gpus")
def test_gpus_that_the_backend_cannot_use_are_left_out_and_told_when_asked_for() -> None:
    runner = CudaRunner(Backend(only="L4", targets=()))
    assert [device.name for device in runner.devices()] == ["NVIDIA L4"]
    with pytest.raises(WorkError, match=r"stand-in knows no NVIDIA H100 80GB HBM3; update it"):
        runner.device("0")


@pytest.mark.usefixtures("two_gpus")
def test_without_its_backend_a_runner_has_no_devices_and_says_why() -> None:
    runner = CudaRunner(Backend(missing=True))
    assert runner.devices() == []
    for name in (None, "0"):
        with pytest.raises(UserError, match=r"stand-in is not installed; pip install it"):
            runner.device(name)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_first_target_is_the_default() -> None:
    assert RUNNER.devices() == []
    device = RUNNER.device(None)
    assert (device, RUNNER.target(device)) == (RUNNER.device("portable"), "portable")
    with pytest.raises(
        UserError, match=r"no device 'sm_90' .*no NVIDIA GPU was found.*did you mean the target 'sm_89'"
    ):
        RUNNER.device("sm_90")
    with pytest.raises(UserError, match=r"no device '0' .*without a GPU, build for portable, sm_89"):
        RUNNER.device("0")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_and_without_targets_the_missing_driver_is_told() -> None:
    with pytest.raises(UserError, match=r"no device for runner stand-in: no NVIDIA GPU was found.*driver"):
        CudaRunner(Backend(targets=())).device(None)


@pytest.mark.usefixtures("no_gpu")
def test_a_target_cannot_be_opened() -> None:
    with pytest.raises(UserError, match=r"portable is a build target, nothing can be executed on it"):
        RUNNER.open(RUNNER.device("portable"), [Lane()])


@pytest.mark.usefixtures("no_gpu")
def test_networks_go_to_the_backend() -> None:
    assert RUNNER.engine_id("resnet18", 2, "fp16", "portable", 1) == "resnet18-2-fp16-portable-1"
    with pytest.raises(WorkError, match=r"would build resnet18-2-fp16-portable-1"):
        RUNNER.build("resnet18", 2, "fp16", "portable", Path("cache"), 1)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("kind", ["compute", "cache", "dram", "half"])
def test_a_probe_for_a_gpu_knows_its_work(tmp_path: Path, kind: Any) -> None:
    engine = RUNNER.build(f"probe:{kind}:50", 1, "fp32", "NVIDIA L4 sm", tmp_path)
    assert engine.engine_id == RUNNER.engine_id(f"probe:{kind}:50", 1, "fp32", "NVIDIA L4 sm")
    expected = plan_probe(kind, 50, 58, 48 << 20, 2 * 6_251_000_000 * 192 / 8)
    assert (engine.engine_kind, engine.runner, engine.build_target) == ("probe", "stand-in", "NVIDIA L4 sm")
    assert (engine.mac_count, engine.flop_count) == (expected.mac_count, 2 * expected.mac_count)
    assert engine.read_bytes == engine.write_bytes == expected.copied_bytes
    meta = read_meta(engine.folder)
    assert ProbePlan(**meta["probe"]["plan"]) == expected == plan_of(engine.folder, meta, device_index=7)


@pytest.mark.usefixtures("two_gpus")
def test_the_same_probe_differs_by_device_intensity_and_build() -> None:
    asked = [
        ("probe:dram:50", "NVIDIA L4 sm", 0),
        ("probe:dram:51", "NVIDIA L4 sm", 0),
        ("probe:cache:50", "NVIDIA L4 sm", 0),
        ("probe:dram:50", "NVIDIA H100 80GB HBM3 sm", 0),
        ("probe:dram:50", "NVIDIA L4 sm", 1),
    ]
    ids = {RUNNER.engine_id(model, 1, "fp32", target, index) for model, target, index in asked}
    assert len(ids) == len(asked)
    assert RUNNER.engine_id("probe:dram:050", 1, "fp32", "NVIDIA L4 sm") in ids


def test_a_probe_without_its_device_is_planned_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Machine(nvml_error=pynvml.NVMLError_LibraryNotFound), monkeypatch)
    engine = RUNNER.build("probe:compute:50", 1, "fp32", "portable", tmp_path)
    assert (engine.mac_count, engine.flop_count, engine.read_bytes) == (None, None, None)
    meta = read_meta(engine.folder)
    with pytest.raises(WorkError, match=r"CUDA device 0 is not there: no NVIDIA GPU"):
        plan_of(engine.folder, meta, 0)
    use(Machine([Card(), L4]), monkeypatch)
    assert plan_of(engine.folder, meta, 1) == plan_probe("compute", 50, 58, 48 << 20, None)


@pytest.mark.usefixtures("no_gpu")
def test_kernels_of_another_version_are_not_executed(tmp_path: Path) -> None:
    engine = RUNNER.build("probe:half:100", 1, "fp32", "portable", tmp_path)
    kernels = engine.folder / "probe.cu"
    assert kernels.read_text() == SOURCE
    meta = json.loads((engine.folder / "meta.json").read_text())
    kernels.write_text("void other() {}")
    with pytest.raises(WorkError, match=r"kernels of another version"):
        plan_of(engine.folder, meta, 0)


def test_the_loader_is_where_lanes_look_for_it() -> None:
    from cotenant.runners.cuda.executable import loader_of
    from cotenant.runners.cuda.loading import PROBE_KIND, PROBE_LOADER
    from cotenant.runners.cuda.probe_engines import ENGINE_KIND

    assert loader_of(PROBE_LOADER) is load
    assert PROBE_KIND == ENGINE_KIND


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("model", "batch_size", "precision", "build_index", "words"),
    [
        ("probe:dramm:50", 1, "fp32", 0, "did you mean 'dram'"),
        ("probe:dram:50", 0, "fp32", 0, "batch size 0"),
        ("resnet18", 1, "fp8", 0, "unknown precision 'fp8'"),
        ("resnet18", 1, "fp32", -1, "build index -1"),
    ],
)
def test_bad_requests_are_the_users_mistake(
    model: str, batch_size: int, precision: Any, build_index: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        RUNNER.build(model, batch_size, precision, "portable", tmp_path, build_index)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("mode", "lanes", "words"),
    [
        ("stream", [Lane()], r"unknown isolation 'stream' for runner stand-in; did you mean 'streams'"),
        ("streams", [], r"0 lanes are not possible on runner stand-in; give --lanes from 1 to 16"),
        ("mps", [Lane()] * 17, r"17 lanes"),
        ("streams", [Lane(50.0)], r"isolation streams take no share; leave it out, or choose green-contexts or mps"),
        ("processes", [Lane(50.0)], r"isolation processes take no share"),
        ("green-contexts", [Lane(priority=-1)], r"isolation green-contexts take no priority"),
        ("mps", [Lane(priority=-1)], r"isolation mps take no priority"),
        ("green-contexts", [Lane(60.0), Lane(50.0)], r"shares 60, 50 are more than the whole device"),
        ("mps", [Lane(0.0)], r"shares 0 are not possible"),
        ("mps", [Lane(101.0)], r"shares 101 are not possible"),
        ("green-contexts", [Lane(float("nan"))], r"shares nan are not possible"),
    ],
)
def test_what_a_mode_cannot_give_is_refused_before_anything_starts(mode: str, lanes: list[Lane], words: str) -> None:
    with pytest.raises(UserError, match=words):
        RUNNER.open(RUNNER.device("0"), lanes, mode)


@dataclasses.dataclass
class Opened:
    """What was asked of the lanes' entry points, and what lived when their sessions ended."""

    calls: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)
    mps_at_end: list[int] = dataclasses.field(default_factory=list)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    record = Opened()
    for name, value in install(tmp_path / "bin").items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def in_process(
        index: int,
        lanes: Sequence[Lane],
        isolation: str,
        loader: str,
        seed: int = 0,
        weights_shared: bool | None = None,
    ) -> Iterator[str]:
        record.calls.append((index, len(lanes), isolation, loader, seed, weights_shared))
        yield "session"

    @contextmanager
    def in_processes(
        index: int,
        lanes: Sequence[Lane],
        loader: str,
        environment: Sequence[Mapping[str, str]],
        takes_shares: bool = False,
        seed: int = 0,
    ) -> Iterator[str]:
        record.calls.append((index, len(lanes), loader, list(environment), takes_shares, seed))
        yield "session"
        record.mps_at_end.append(len(mps._started(environment[0])) if takes_shares else 0)

    monkeypatch.setattr(session, "open_in_process", in_process)
    monkeypatch.setattr(session, "open_processes", in_processes)
    return record


@pytest.mark.usefixtures("two_gpus")
def test_lanes_of_one_process_open_on_the_gpus_ordinal(opened: Opened) -> None:
    for mode in (None, "green-contexts"):
        with RUNNER.open(RUNNER.device("1"), [Lane(), Lane()], mode, seed=5) as got:
            assert got == "session"
    assert [call[:3] for call in opened.calls] == [(1, 2, "streams"), (1, 2, "green-contexts")]
    assert {call[3:] for call in opened.calls} == {("nowhere:load", 5, True)}


@pytest.mark.usefixtures("two_gpus")
def test_time_sliced_processes_add_nothing_to_the_environment(opened: Opened) -> None:
    with RUNNER.open(RUNNER.device("1"), [Lane(), Lane()], "processes", seed=5):
        pass
    assert opened.calls == [(1, 2, "nowhere:load", [{}, {}], False, 5)]


@pytest.mark.usefixtures("two_gpus")
def test_mps_clients_end_before_their_daemon(opened: Opened) -> None:
    with RUNNER.open(RUNNER.device("1"), [Lane(25.0), Lane()], "mps", seed=5):
        ((index, count, _, (first, second), takes_shares, seed),) = opened.calls
        assert (index, count, takes_shares, seed) == (0, 2, True, 5)
        assert first[VISIBLE] == second[VISIBLE] == L4.device_id
        assert (first[SHARE], SHARE in second) == ("25", False)
        assert first[PIPE] == second[PIPE]
    assert opened.mps_at_end == [2]  # daemon and server
    assert mps._started(first) == []


@pytest.mark.usefixtures("two_gpus", "opened")
def test_mps_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MPS", "refuses")
    with pytest.raises(WorkError, match=r"MPS cannot start: .*permission denied"):
        RUNNER.open(RUNNER.device("0"), [Lane()], "mps").__enter__()


@pytest.mark.usefixtures("two_gpus")
def test_a_device_that_went_away_is_told() -> None:
    gone = dataclasses.replace(RUNNER.device("0"), device_id="GPU-ffffffff-0000-0000-0000-000000000000")
    with pytest.raises(UserError, match=r"is no GPU of this machine; there is 0"):
        RUNNER.open(gone, [Lane()]).__enter__()


def test_streams_are_the_default_mode() -> None:
    assert RUNNER.isolations() == ISOLATIONS == ("streams", "green-contexts", "processes", "mps")
