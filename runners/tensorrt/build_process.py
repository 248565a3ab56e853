"""One build in a process of its own: `python -m cotenant.runners.tensorrt.build_process`, see `order` for the lines.

A crash of the library ends this process alone. It stops when stdin ends, because its parent wants no engine any more or
is gone: the library is asked first, and after GRACE_S the process ends whatever the library does.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.runners.build_watch import BuildStep
from cotenant.runners.tensorrt.api_build import Module
from cotenant.runners.tensorrt.build_log import NAME, BuildLog, vendor_logger
from cotenant.runners.tensorrt.config import builder_config
from cotenant.runners.tensorrt.driver import gpu_count
from cotenant.runners.tensorrt.flavour import CHOICE, Installed, installed, load_module
from cotenant.runners.tensorrt.inspection import write_layers
from cotenant.runners.tensorrt.monitor import BuildMonitor, vendor_monitor
from cotenant.runners.tensorrt.network import check_outputs, facts_of, fixing_profile, inputs_of, outputs_of, parse
from cotenant.runners.tensorrt.order import NO_DRIVER, PLAN, BuildOrder, BuildReport, Word
from cotenant.runners.tensorrt.timing_cache import SHARED, keep_timing_cache, use_timing_cache

GRACE_S = 0.6
Send = Callable[[Word, Any], None]


class Cancelled(Exception):
    """The build ended because it was told to."""


def main() -> None:
    """Build what the first line of stdin orders."""
    send = _sender()
    order = BuildOrder.of_line(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_end_with_stdin, args=(stop,), daemon=True).start()
    code = 0
    try:
        _work(order, send, stop)
    except Cancelled:
        send("cancelled", None)
    except CotenantError as error:
        send("refused", {"error": "UserError" if isinstance(error, UserError) else "WorkError", "message": str(error)})
    except Exception:  # a bug: the parent shows it
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # taking the library down would only take time


def _work(order: BuildOrder, send: Send, stop: threading.Event) -> None:
    folder = Path(order.folder)
    os.environ[CHOICE] = order.choice
    here = installed()
    trt = load_module(here)
    with (folder / NAME).open("w", buffering=1) as stream:
        log = BuildLog(stream)
        logger = vendor_logger(trt, log)
        monitor = vendor_monitor(trt, BuildMonitor(lambda step: _tell(send, step), stop))
        report = _build(trt, here, order, log, logger, monitor, stop)
        send("built", asdict(report))
        reason = write_layers(trt, logger, log, folder) if gpu_count() else NO_DRIVER
        send("inspected", reason)


def _build(
    trt: Module, here: Installed, order: BuildOrder, log: BuildLog, logger: Any, monitor: Any, stop: threading.Event
) -> BuildReport:
    if here.flavour.needs_gpu_to_build and not gpu_count():
        raise WorkError(f"{here} builds engines on the GPU that shall run them, and the driver shows none here")
    builder = trt.Builder(logger)
    network, parser = parse(trt, builder, Path(order.graph), logger, log, order.where)
    profile = fixing_profile(builder, network, order.input_shapes, order.where)
    config = builder_config(trt, builder, here.flavour, order.capability, order.memory_limit_bytes)
    if profile is None:
        check_outputs(network, order.where)
    else:
        config.add_optimization_profile(profile)
    timed = None if order.timing_cache is None else use_timing_cache(config, Path(order.timing_cache), log)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if stop.is_set():
        raise Cancelled
    if plan is None:
        raise WorkError(f"{order.where}: {here} built no engine: {log.reason()}")
    if order.timing_cache is not None:
        keep_timing_cache(config, Path(order.timing_cache))
    (Path(order.folder) / PLAN).write_bytes(memoryview(plan))
    del parser, timed  # the library needs weights and timings as long as it builds
    return BuildReport(
        inputs=facts_of(inputs_of(network)),
        outputs=facts_of(outputs_of(network)),
        layer_count=network.num_layers,
        memory_limit_bytes=config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE),
        tf32=config.get_flag(trt.BuilderFlag.TF32),
        warnings=list(log.warnings),
        timing_cache=SHARED if order.timing_cache is not None else "none",
    )


def _tell(send: Send, step: BuildStep) -> None:
    send("step", asdict(step))


def _sender() -> Send:
    """Return what writes lines to stdout; whatever else is printed goes to stderr from now on."""
    channel: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(word: Word, content: Any) -> None:
        with lock:
            try:
                channel.write(json.dumps([word, content]) + "\n")
            except BrokenPipeError:  # nobody listens any more
                os._exit(1)

    return send


def _end_with_stdin(stop: threading.Event) -> None:
    """Stop the build when stdin ends."""
    while os.read(0, 1):
        pass
    stop.set()
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
