"""Whether this process runs inside a container, where process lists and capabilities mean something else."""

from pathlib import Path

ROOT = Path("/")
MARKERS = (".dockerenv", "run/.containerenv")  # of Docker; of Podman and CRI-O
CGROUP_WORDS = ("docker", "kubepods", "containerd", "lxc", "libpod")
WHOLE_USER_NAMESPACE = ["0", "0", "4294967295"]  # /proc/self/uid_map of the first user namespace


def in_container(root: Path = ROOT) -> bool:
    """Tell whether anything says so; a container that hides itself well counts as none."""
    if any((root / marker).exists() for marker in MARKERS):
        return True
    groups = read_text(root / "proc/1/cgroup") or ""
    return any(word in groups for word in CGROUP_WORDS)


def in_first_user_namespace(root: Path = ROOT) -> bool:
    """Tell whether capabilities hold for the machine, not only inside a user namespace (rootless containers)."""
    mapping = read_text(root / "proc/self/uid_map")
    return mapping is None or mapping.split() == WHOLE_USER_NAMESPACE


def read_text(path: Path) -> str | None:
    """Return a kernel file's text; None where it is not there or may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
