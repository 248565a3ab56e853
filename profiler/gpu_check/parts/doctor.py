"""`cotenant doctor` as people run it: answers in seconds, exit code 0, no traceback; and what it says here."""

import json
import subprocess
import sys
import time

from cotenant.profiler.gpu_check.facts import Facts

COMMAND = ("-P", "-m", "cotenant.profiler.cli.main", "doctor")


def measure(facts: Facts) -> None:
    """Run it both ways."""
    began_s = time.monotonic()
    as_json = subprocess.run([sys.executable, *COMMAND, "--json"], capture_output=True, text=True, check=False)
    facts.note(json_seconds=round(time.monotonic() - began_s, 3))
    print(as_json.stderr)
    facts.check(as_json.returncode == 0, f"`doctor --json` ends with 0 (it ended with {as_json.returncode})")
    facts.check("Traceback" not in as_json.stderr, "`doctor --json` shows no traceback")
    if as_json.returncode == 0:
        facts.note(told=json.loads(as_json.stdout))
    plain = subprocess.run([sys.executable, *COMMAND], capture_output=True, text=True, check=False)
    print(plain.stdout, plain.stderr)
    facts.check(plain.returncode == 0, f"`doctor` ends with 0 (it ended with {plain.returncode})")
