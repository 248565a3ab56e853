"""A private MPS daemon: its own pipes and logs, one GPU, ended with the session that started it.

    with mps_daemon(device_id) as daemon:                   nvidia-cuda-mps-control -d, then a server
        with open_processes(..., [daemon.client(50.0)]):    clients end here
            ...
                                                            then quit, and whatever is left is ended by its pid

A daemon that runs on the machine already is left alone, and so are compute mode and every other setting of the card.
What we started is known by the pipe directory in its environment, which no other process has.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cotenant.models.errors import WorkError

CONTROL = "nvidia-cuda-mps-control"
PIPE, LOG = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
SHARE = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
VISIBLE = "CUDA_VISIBLE_DEVICES"
CONNECTIONS, CLIENT_CONNECTIONS = "CUDA_DEVICE_MAX_CONNECTIONS", "8"  # the driver's default
PREFIX = "cotenant-mps-"
OWNED = "owned"
BASE_CHARACTERS_MAX = 48  # a Unix socket's path has at most 107 characters, and those of MPS lie below ours
COMMAND_TIMEOUT_S = 20.0
LISTEN_TIMEOUT_S = 2.0
SERVER_TIMEOUT_S = 20.0
QUIT_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 2.0
POLL_S = 0.05
LOG_LINES = 3
REMEDY = (
    "choose --isolation processes or streams, or ask who runs this machine whether MPS may be used (`cotenant doctor`)"
)


@dataclass(frozen=True)
class MpsDaemon:
    """A daemon that has a server ready for clients on one GPU.

    Attributes:
        device_id: The GPU's UUID; clients see this one alone, as CUDA device 0.
    """

    folder: Path
    device_id: str

    @property
    def environment(self) -> dict[str, str]:
        """What daemon and clients alike have in their environment.

        The GPU stands there by UUID: an index would mean the machine's list to the daemon and the daemon's list to a
        client (NVIDIA's MPS guide, CUDA_VISIBLE_DEVICES).
        """
        return {PIPE: str(self.folder / "pipe"), LOG: str(self.folder / "log"), VISIBLE: self.device_id}

    def client(self, share_pct: float | None) -> dict[str, str]:
        """Return what a client adds to its environment; `share_pct` of the multiprocessors at most, None = all.

        Clients draw their connections from one pool, so they ask for fewer than a process alone does.
        """
        share = {} if share_pct is None else {SHARE: f"{share_pct:g}"}
        return self.environment | {CONNECTIONS: CLIENT_CONNECTIONS} | share


@contextmanager
def mps_daemon(device_id: str) -> Iterator[MpsDaemon]:
    """Start a daemon and a server for one GPU, and end both whatever happens; clients must have ended by then.

    Raises:
        WorkError: MPS is not installed, or daemon or server do not start; with their own words.
    """
    if shutil.which(CONTROL) is None:
        raise WorkError(f"MPS cannot start: {CONTROL} is not on the PATH (it comes with NVIDIA's driver); {REMEDY}")
    base = _base()
    _end_leftovers(base)
    daemon = MpsDaemon(Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)), device_id)
    try:
        with (daemon.folder / OWNED).open("w") as owned:
            fcntl.flock(owned, fcntl.LOCK_EX)  # vanishes with this process, however it ends
            for name in ("pipe", "log"):
                (daemon.folder / name).mkdir()
            _start(daemon)
            yield daemon
    finally:
        _end(daemon)


def _start(daemon: MpsDaemon) -> None:
    _control(daemon, "-d")
    _start_server(daemon)
    deadline_s = time.monotonic() + SERVER_TIMEOUT_S
    while not re.search(r"^\d+$", _control(daemon, command="get_server_list"), re.MULTILINE):
        if time.monotonic() > deadline_s:
            raise _failure(daemon, f"no server started within {SERVER_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


def _start_server(daemon: MpsDaemon) -> None:
    """Start a server now, or the first client would find out what is wrong; the daemon may need a moment to listen."""
    deadline_s = time.monotonic() + LISTEN_TIMEOUT_S
    while True:
        try:
            _control(daemon, command=f"start_server -uid {os.getuid()}")
        except WorkError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(POLL_S)
        else:
            return


def _control(daemon: MpsDaemon, *arguments: str, command: str | None = None) -> str:
    """Run the control program, with a command for a running daemon on its stdin; return what it prints."""
    what = " ".join((CONTROL, *arguments)) if command is None else f"`{command}`"
    # Files, not pipes: a daemon inherits them and would keep a pipe open for ever.
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(
                [CONTROL, *arguments],
                input=f"{command or ''}\n".encode(),
                stdout=said,
                stderr=subprocess.STDOUT,
                env=_inherited() | daemon.environment,
                timeout=COMMAND_TIMEOUT_S,
                start_new_session=True,  # Ctrl-C is the host's to decide
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failure(daemon, f"{what} did not answer within {COMMAND_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise _failure(daemon, f"{what} cannot be run ({error.strerror})") from error
        said.seek(0)
        text = said.read().decode(errors="replace")
    if done.returncode != 0:
        words = " ".join(text.split())
        raise _failure(daemon, f"{what} failed with exit code {done.returncode}{f' ({words})' if words else ''}")
    return text


def _inherited() -> dict[str, str]:
    """Return the environment without what a user's own MPS or choice of GPUs has set in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CUDA_MPS_") and name != VISIBLE}


def _failure(daemon: MpsDaemon, what: str) -> WorkError:
    logged = [line for name in ("control.log", "server.log") for line in _last_lines(daemon.folder / "log" / name)]
    log = f"; its log ends: {' | '.join(logged)}" if logged else ""
    return WorkError(f"MPS cannot start: {what}{log}; {REMEDY}")


def _last_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [f"{path.name}: {' '.join(line.split())}" for line in lines if line.strip()][-LOG_LINES:]


def _end(daemon: MpsDaemon) -> None:
    if _started(daemon.environment):
        with suppress(WorkError):  # a daemon that does not obey is ended by its pid
            _control(daemon, command="quit")
        _ended_within(daemon.environment, QUIT_TIMEOUT_S)
        for process in _started(daemon.environment):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _ended_within(daemon.environment, KILL_TIMEOUT_S)
        for process in _started(daemon.environment):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _ended_within(daemon.environment, KILL_TIMEOUT_S)
    shutil.rmtree(daemon.folder, ignore_errors=True)


def _ended_within(environment: Mapping[str, str], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while _started(environment) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


def _started(environment: Mapping[str, str]) -> list[psutil.Process]:
    """Return the processes that have our pipe directory in their environment: daemon, server, and clients if any."""
    return [process for process in psutil.process_iter() if _pipe_of(process) == environment[PIPE]]


def _pipe_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(PIPE)  # a zombie has none
    except (psutil.Error, OSError):
        return None


def _end_leftovers(base: Path) -> None:
    """End daemons of hosts that were killed: nobody holds the lock in their folder any more."""
    for path in base.glob(f"{PREFIX}*/{OWNED}"):
        with suppress(OSError), path.open("r+") as owned:  # another user's, or gone, or in use: not ours to end
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end(MpsDaemon(path.parent, ""))


def _base() -> Path:
    """Return the folder for temporary files, or /tmp where that is too deep for sockets."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= BASE_CHARACTERS_MAX else Path("/tmp")
