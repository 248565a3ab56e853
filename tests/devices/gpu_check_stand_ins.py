"""Parts of a check that need no GPU and end in every way a part can end."""

import importlib
import os
import signal
import subprocess
import sys
import time

from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.part import Part

SLEEPS = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def part(how: str, timeout_s: float = 20, needs: tuple[str, ...] = (), needs_gpu: bool = False) -> Part:
    return Part(how, how, "gpu_check_stand_ins", how, needs, needs_gpu, timeout_s, package="")


def measure(facts: Facts) -> None:
    facts.note(pid=os.getpid())
    WAYS[facts.argument](facts)


def _is_fine(facts: Facts) -> None:
    facts.note(span_ns=7)
    facts.check(True, "it holds")


def _does_not_hold(facts: Facts) -> None:
    facts.check(False, "1 is 2")
    facts.check(True, "1 is 1")
    facts.check(False, "2 is 3")


def _raises(_: Facts) -> None:
    raise RuntimeError("the device\nis on fire")


def _skips(_: Facts) -> None:
    raise Skip("there is nothing here")


def _lacks(_: Facts) -> None:
    importlib.import_module("no_such_vendor.library")


def _lacks_ours(_: Facts) -> None:
    importlib.import_module("cotenant.runners.no_such_module")


def _leaves(_: Facts) -> None:
    sys.exit(3)


def _vanishes(_: Facts) -> None:
    print("last words", flush=True)
    os._exit(4)


def _crashes(facts: Facts) -> None:
    facts.note(span_ns=7)
    os.kill(os.getpid(), signal.SIGSEGV)


def _hangs(facts: Facts) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    facts.note(span_ns=7)
    time.sleep(600)


def _child(facts: Facts, new_session: bool) -> None:
    """Start a process that lives on and takes no notice of SIGTERM."""
    child = subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE, start_new_session=new_session)
    assert child.stdout is not None
    child.stdout.readline()
    facts.note(child=child.pid)


def _leaves_a_child(facts: Facts) -> None:
    _child(facts, new_session=True)


def _hangs_with_a_child(facts: Facts) -> None:
    _child(facts, new_session=True)
    _hangs(facts)


def _is_loud(facts: Facts) -> None:
    print("x" * 300_000)
    print("the end", facts.folder)


def _keeps_much(facts: Facts) -> None:
    tables = facts.folder / "tables" / facts.part
    tables.mkdir(parents=True)
    (tables / "huge.parquet").write_bytes(os.urandom(6 << 20))
    (tables / "small.json").write_text("{}")


WAYS = {
    "is-fine": _is_fine,
    "does-not-hold": _does_not_hold,
    "raises": _raises,
    "skips": _skips,
    "lacks": _lacks,
    "lacks-ours": _lacks_ours,
    "leaves": _leaves,
    "vanishes": _vanishes,
    "crashes": _crashes,
    "hangs": _hangs,
    "leaves-a-child": _leaves_a_child,
    "hangs-with-a-child": _hangs_with_a_child,
    "is-loud": _is_loud,
    "keeps-much": _keeps_much,
}
