"""The simulated runner: its devices, its targets, what it refuses; the same seed gives the same stamps."""

import subprocess
import sys
from pathlib import Path

import pytest

from cotenant.models.errors import CotenantError, UserError
from cotenant.runners.protocol import Completion, Device, Lane
from cotenant.runners.simulated import RUNNER
from cotenant.runners.simulated.runner import Simulated

PROBE = "probe:half:50"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_finding_it_imports_nothing_heavy() -> None:
    heavy = "'numba', 'numpy', 'yaml', 'pydantic'"
    code = f"import sys, cotenant.runners.simulated; print([m for m in ({heavy}) if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_devices_are_found_by_name_option_path_and_id(tmp_path: Path) -> None:
    default = RUNNER.device(None)
    assert default == RUNNER.device("l4") == RUNNER.devices()[0] == RUNNER.device(default.device_id)
    assert default.kind == "simulated"
    assert len({device.device_id for device in RUNNER.devices()}) == len(RUNNER.devices()) >= 7
    own = tmp_path / "mine.yaml"
    own.write_text("base: l4\nname: Mine\nsm_count: 10\n")
    mine, quiet = RUNNER.device(str(own)), RUNNER.device("l4:noise_pct=0")
    assert (mine.sm_count, mine.name) == (10, "Mine")
    assert RUNNER.device(mine.device_id) == mine
    assert len({RUNNER.target(device) for device in (default, mine, quiet)}) == 3
    with pytest.raises(UserError, match=r"l44"):
        RUNNER.device("l44")


def test_a_device_that_it_has_not_named_is_refused() -> None:
    stranger = Device("0" * 20, "t", "simulated", "stranger", 1, None, None)
    with pytest.raises(UserError, match=r"0{20}"):
        RUNNER.open(stranger, [Lane()])
    known = RUNNER.device("t4")
    assert Simulated().target(known) == RUNNER.target(known)  # packaged devices are known to every runner object


def test_bad_requests_are_the_users_mistake() -> None:
    device = RUNNER.device(None)
    for lanes, isolation, match in (
        ([Lane()], "stream", r"did you mean 'streams'"),
        ([], None, r"lane"),
        ([Lane()] * 65, None, r"64"),
        ([Lane(priority=1)], None, r"priority"),
        ([Lane(50)], "streams", r"share"),
        ([Lane(60), Lane(60)], "green-contexts", r"share"),
    ):
        with pytest.raises(UserError, match=match):
            RUNNER.open(device, lanes, isolation).__enter__()


@pytest.mark.parametrize("isolation", RUNNER.isolations())
def test_sessions_say_what_they_are(isolation: str) -> None:
    with RUNNER.open(RUNNER.device(None), [Lane(), Lane()], isolation) as session:
        assert (session.lane_count, session.isolation_observed, session.clock_error_ns) == (2, isolation, 1)
        assert session.host_has_own_core
        assert not session.oversubscribed
        assert session.weights_shared == (isolation in ("streams", "green-contexts"))
        assert session.now_ns() == 0


def stamps(cache: Path, device_name: str, seed: int) -> list[Completion]:
    device = RUNNER.device(device_name)
    engine = RUNNER.build(PROBE, 1, "fp32", RUNNER.target(device), cache)
    done: list[Completion] = []
    with RUNNER.open(device, [Lane(), Lane()], "processes", seed) as session:
        loaded = [session.load(lane, engine) for lane in (0, 1)]
        for _ in range(20):
            for lane in (0, 1):
                session.submit(lane, loaded[lane])
        while len(done) < 40:
            done += session.wait(session.now_ns() + 10**12)
    return done


def test_the_same_seed_gives_the_same_stamps(cache: Path) -> None:
    assert stamps(cache, "l4", 5) == stamps(cache, "l4", 5)
    assert stamps(cache, "l4", 5) != stamps(cache, "l4", 6)
    assert stamps(cache, "l4:noise_pct=0", 5) != stamps(cache, "l4", 5)


def test_engines_belong_to_their_device(cache: Path) -> None:
    engine = RUNNER.build(PROBE, 1, "fp32", RUNNER.target(RUNNER.device("t4")), cache)
    with RUNNER.open(RUNNER.device("l4"), [Lane()]) as session, pytest.raises(CotenantError, match=r"another device"):
        session.load(0, engine)


def test_engines_tell_their_counters(cache: Path) -> None:
    engine = RUNNER.build(PROBE, 1, "fp32", RUNNER.target(RUNNER.device("l4")), cache)
    counters = RUNNER.counters(engine)
    assert counters is not None
    assert counters.throughputs["counter_source"] == "simulated"
    assert counters.kernels
