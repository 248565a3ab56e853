"""A short campaign as users run one: engines, experiments, dataset, and its check; stopped in time if it must be."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotenant.models.errors import CotenantError
from cotenant.profiler.gpu_check import clocks
from cotenant.profiler.gpu_check.facts import Facts, Skip

if TYPE_CHECKING:
    from cotenant.runners.build_watch import BuildStep

RUNNERS = ("torch-cuda", "tensorrt")  # the first that opens here
RESERVE_S = 25.0  # for the dataset and its check
QUALITY = {
    "look_quads": [8],
    "block_s": 0.05,
    "lead_in_s": 0.02,
    "lead_in_executions": 3,
    "settle_s": 0.04,
    "settle_executions": 5,
}
SOLO = {"kind": "solo", "repeats": 8}
DRAM_PAIR = ["probe:dram:100@1", "probe:dram:100@1"]
SPECS: dict[str, dict[str, Any]] = {
    "probes": {
        "engines": [{"models": ["probe:compute:100", "probe:dram:100"]}],
        "experiments": [
            SOLO,
            {"kind": "pair"},
            {"kind": "offset_sweep", "pairs": [DRAM_PAIR], "offsets": [0.0, 0.33, 0.67]},
            {"kind": "null", "count": 2},
        ],
    },
    "models": {
        "precision": "fp16",
        "engines": [{"models": ["resnet18", "resnet50", "vit_s_32", "roberta_small"], "batch_sizes": [1, 8]}],
        "experiments": [
            SOLO,
            {
                "kind": "pair",
                "pairs": [
                    ["resnet50@8", "vit_s_32@8"],
                    ["resnet18@1", "roberta_small@1"],
                    ["resnet50@8", "resnet50@8"],
                    ["roberta_small@8", "resnet50@1"],
                ],
            },
            {"kind": "null", "count": 2},
        ],
    },
    "serving": {
        "precision": "fp16",
        "engines": [{"models": ["resnet50", "roberta_small"], "batch_sizes": [1, 8]}],
        "experiments": [
            SOLO,
            {
                "kind": "serving",
                "deployment": [
                    {"model": "resnet50", "max_batch": 8, "deadline_ms": 50},
                    {"model": "roberta_small", "max_batch": 8, "deadline_ms": 50},
                ],
                "loads": [0.5],
            },
        ],
    },
}
EXPERIMENT = ("kind", "condition", "verdict", "verdict_reasons", "isolation_observed", "concurrency_gain_ratio")
SLOWDOWN = (
    "kind",
    "tenant",
    "engine_id",
    "slowdown_ratio",
    "slowdown_lower_ratio",
    "slowdown_upper_ratio",
    "quad_count",
)
PROFILE = ("engine_id", "pattern", "sample_count", "span_p50_ns", "span_p95_ns")


class OutOfTime(KeyboardInterrupt):
    """The part's time is nearly over; a campaign ends on it as on Ctrl-C, and keeps what is finished."""


class NotedProgress:
    """Tells the part's log how far the campaign is."""

    def stage(self, name: str, total: int) -> None:
        """Print it."""
        print(f"{name}: {total}", flush=True)

    def begin(self, label: str) -> None:
        """Say nothing."""

    def step(self, label: str, step: "BuildStep") -> None:
        """Say nothing."""

    def advance(self, label: str, outcome: str = "") -> None:
        """Print it."""
        print(f"done: {label} {outcome}", flush=True)

    def note(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)


def measure(facts: Facts) -> None:
    """Run the campaign that the argument names, on the first runner that opens."""
    from cotenant.datasets.build import build_dataset
    from cotenant.profiler.campaign.run import run_campaign
    from cotenant.profiler.campaign.spec import parse_spec

    name = facts.argument
    runner, device = opening_runner()
    facts.note(runner=runner, device=device.device_type, before=clocks.gpu_state(device.device_id))
    content = {"name": f"gpu-check-{name}", "runner": runner, "lanes": 2, "seed": 1, "quality": QUALITY, **SPECS[name]}
    spec, out = parse_spec(content, name), facts.folder / "campaigns" / name
    try:
        with _limited(facts.left_s - RESERVE_S):
            # a busy card is told in what comes back; it must not end the check
            outcome = run_campaign(spec, out, facts.cache, NotedProgress(), allow_busy=True)
        facts.note(planned=outcome.planned_count, done=outcome.done_count, failed=outcome.failed_count)
        facts.check(outcome.failed_count == 0, f"no experiment fails ({outcome.failed_count} did)")
    except OutOfTime:
        done = len(list((out / "raw").glob("*.parquet")))
        planned = len(json.loads((out / "plan.json").read_text())["cells"])
        facts.note(stopped="no time left; what was finished is told", planned=planned, done=done)
        build_dataset(out)
    facts.note(after=clocks.gpu_state(device.device_id), failures=_failures(out))
    _tell(facts, out)


def opening_runner() -> tuple[str, Any]:
    """Return the first runner that opens a GPU here, with it; Skip with what each says otherwise."""
    from cotenant.runners.registry import load

    troubles = []
    for name in RUNNERS:
        try:
            devices = load(name).devices()
            if devices:
                return name, devices[0]
            load(name).device(None)  # says what is missing
        except CotenantError as error:
            troubles.append(f"{name}: {error}")
    raise Skip("; ".join(troubles) or f"none of {', '.join(RUNNERS)} opens a GPU here")


@contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, limit_s))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _failures(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((out / "failed").glob("*.json"))][:10]


def _tell(facts: Facts, out: Path) -> None:
    from cotenant.datasets.check import check_dataset
    from cotenant.datasets.read import read_table

    report = check_dataset(out)
    facts.note(
        checks_of_dataset=len(report.checked),
        findings=[f"{each.table}: {each.check}: {each.message}" for each in report.findings][:20],
    )
    kinds = {row["kind"] for row in read_table(out, "experiments").to_pylist()}
    main = "serving" if facts.argument == "serving" else "pair"
    facts.check(main in kinds, f"there was time for an experiment of kind {main}")
    facts.check(report.ok, f"the dataset's checks all hold ({len(report.findings)} findings)")
    rows = {
        name: read_table(out, name).to_pylist() for name in ("engines", "experiments", "slowdowns", "solo_profiles")
    }
    labels = {row["engine_id"]: f"{row['model']}@{row['batch_size']}" for row in rows["engines"]}
    facts.note(
        engines=labels,
        experiments=[_picked(row, EXPERIMENT) for row in rows["experiments"] if row["kind"] != "solo"],
        slowdowns=[_picked(row, SLOWDOWN) for row in rows["slowdowns"]],
        solo_profiles=[_picked(row, PROFILE) for row in rows["solo_profiles"]],
    )
    kept = facts.folder / "tables" / facts.part
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(out / "dataset", kept)
    for name in ("plan.json", "campaign.yaml"):
        shutil.copy(out / name, kept / name)


def _picked(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}
