"""Runs scripts in processes of their own whose driver library is the stand-in of `stub_driver.c`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "stub_driver.c"
COMPILER = shutil.which("cc")
LIBRARIES = ("libcuda.so.1", "libnvrtc.so.12", "libnvrtc.so.13")

PRELUDE = """
import json, sys
from pathlib import Path
from timed_engine import LOADER, timed_engine
from cotenant.runners.cuda.session import open_in_process, open_processes
from cotenant.runners.protocol import Lane
MS, cache = 1_000_000, Path(sys.argv[1])
def collect(session, count):
    done = []
    while len(done) < count:
        got = session.wait(session.now_ns() + 10_000 * MS)
        assert got
        done += got
    return done
def run(session, **engine):
    loaded = [session.load(lane, timed_engine(cache, 2 * MS, **engine), bool(engine)) for lane in (0, 1)]
    with session.gate():
        for lane in (0, 1):
            session.submit(lane, loaded[lane], delay_ns=lane * MS)
    done = collect(session, 2)
    facts = {
        "spans_ms": [(each.end_ns - each.start_ns) / MS for each in done],
        "copies": [each.h2d_ns is not None and each.d2h_ns is not None for each in done],
        "captured": [mode.captured for mode in session.launch_modes()],
        "isolation": session.isolation_observed,
        "error_ns": session.clock_error_ns,
        "sm_counts": [stream.sm_count for stream in session.streams],
        "priorities": [stream.priority for stream in session.streams],
    }
    for each in loaded:
        session.unload(each)
    return facts
"""


def compiled(folder: Path, compiler: str) -> Path:
    first = folder / LIBRARIES[0]
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(first), str(SOURCE), "-ldl"], check=True)
    for name in LIBRARIES[1:]:
        shutil.copy(first, folder / name)
    return folder


def facts(library: Path, cache: Path, script: str, **variables: str) -> Any:
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(library),
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
        **variables,
    }
    ran = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(cache)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)
