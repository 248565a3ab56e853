"""A stand-in for nvidia-cuda-mps-control: a real program that forks a daemon, takes commands and starts a "server".

It keeps to what NVIDIA's man page says: `-d` returns at once and leaves a daemon; commands come on stdin; the exit code
is not 0 where no daemon is found. What it was given stands in `calls`, a line a call. `FAKE_MPS` chooses a failure.
"""

import os
import sys
from pathlib import Path

PROGRAM = """#!/bin/sh
fault=$FAKE_MPS
pipe=$CUDA_MPS_PIPE_DIRECTORY
log=$CUDA_MPS_LOG_DIRECTORY
stay() { trap '' TERM; while :; do sleep 0.1; done; }
if [ "$1" = -d ]; then
    echo "$* visible=$CUDA_VISIBLE_DEVICES share=$CUDA_MPS_ACTIVE_THREAD_PERCENTAGE" >> "$CALLS"
    if [ "$fault" = refuses ]; then echo "Failed to start daemon: permission denied"; exit 1; fi
    if [ "$fault" = hangs ]; then sleep 60; fi
    echo "[Control] Starting control daemon" > "$log/control.log"
    if [ "$fault" = dies ]; then echo "[Control] bind failed" > "$log/control.log"; exit 0; fi
    if [ "$fault" = slow ]; then (sleep 0.3; sleep 300 & echo $! > "$pipe/daemon") & exit 0; fi
    if [ "$fault" = stubborn ]; then stay & else sleep 300 & fi
    echo $! > "$pipe/daemon"
    exit 0
fi
read -r command
echo "$command" >> "$CALLS"
kill -0 "$(cat "$pipe/daemon" 2>/dev/null)" 2>/dev/null || { echo "Cannot find MPS control daemon process"; exit 1; }
case $command in
start_server*)
    if [ "$fault" = serverless ]; then echo "[Server] initialization error" > "$log/server.log"; exit 0; fi
    sleep 300 &
    echo $! > "$pipe/server" ;;
get_server_list) cat "$pipe/server" 2>/dev/null ;;
quit)
    [ "$fault" = stubborn ] && exit 0
    kill "$(cat "$pipe/daemon")" "$(cat "$pipe/server")" 2>/dev/null ;;
esac
exit 0
"""
NAME = "nvidia-cuda-mps-control"

HOST = """
import sys, time
from cotenant.runners.cuda.mps import mps_daemon
with mps_daemon(sys.argv[1]) as daemon:
    print(daemon.folder, flush=True)
    time.sleep(60)
"""


def install(folder: Path) -> dict[str, str]:
    """Put the program into a folder; return the environment that finds it and its record of calls."""
    folder.mkdir()
    program = folder / NAME
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls"), "FAKE_MPS": ""}


def host_command(device_id: str) -> list[str]:
    """Return the command of a host that holds a daemon for a minute and prints its folder."""
    return [sys.executable, "-c", HOST, device_id]
