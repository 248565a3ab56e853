"""TensorRT on this GPU: which flavour, one small engine built and executed on a lane, and for RTX whether it fits."""

import statistics
from pathlib import Path
from typing import Any

from cotenant.models.errors import CotenantError, UserError
from cotenant.profiler.gpu_check import rig
from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.figures import gain_ratio, gaps_ns, summary
from cotenant.runners.protocol import Engine, Lane

MODEL, BATCH_SIZES = "resnet18", (1, 8)
EACH = 100


def measure(facts: Facts) -> None:
    """Build and run; skipped where no TensorRT is installed."""
    from cotenant.runners.registry import load
    from cotenant.runners.tensorrt.flavour import TENSORRT_RTX, installed

    try:
        here = installed()
    except UserError as error:
        raise Skip(str(error)) from error
    gpu = rig.first_gpu()
    facts.note(
        device=gpu.device.device_type,
        engine_kind=here.flavour.engine_kind,
        module=here.module,
        version=here.version,
        architecture=gpu.architecture,
    )
    runner = load("tensorrt")
    if here.flavour == TENSORRT_RTX:
        portable = runner.build(MODEL, BATCH_SIZES[0], "fp16", "portable", facts.cache)
        _validity(facts, here, portable)
    try:
        target = runner.target(gpu.device)
    except CotenantError as error:  # RTX does not support every GPU; that is a finding, not a fault of ours
        raise Skip(str(error)) from error
    engines = [runner.build(MODEL, size, "fp16", target, facts.cache) for size in BATCH_SIZES]
    with runner.open(gpu.device, [Lane(), Lane()]) as session:
        loaded = [session.load(lane, engine) for lane, engine in enumerate(engines)]
        modes = [(mode.captured, mode.refusal) for mode in session.launch_modes()]  # type: ignore[attr-defined]
        facts.note(captured=[captured for captured, _ in modes], refusals=[refusal for _, refusal in modes])
        alone = [rig.burst(session, [one], EACH)[0] for one in loaded]
        both = rig.burst(session, loaded, EACH)
    for engine, spans in zip(engines, alone, strict=True):
        label = f"{engine.model}@{engine.batch_size}"
        lengths = [end - start for start, end in spans]
        facts.note(**{label: {"span": summary(lengths), "gap": summary(gaps_ns(spans)), "bytes": engine.engine_bytes}})
        facts.check(statistics.median(lengths) > 0, f"{label} executes")
    facts.note(gain_ratio=gain_ratio([rig.span_ns(lane) for lane in alone], rig.span_ns(both[0] + both[1])))


def _validity(facts: Facts, here: Any, engine: Engine) -> None:
    from cotenant.runners.tensorrt.flavour import load_module
    from cotenant.runners.tensorrt.order import PLAN

    trt: Any = load_module(here)
    plan: Path = engine.folder / PLAN
    runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
    told = runtime.get_engine_validity(plan.read_bytes())
    facts.note(portable_engine_validity=[str(each) for each in (told if isinstance(told, tuple) else (told,))])
