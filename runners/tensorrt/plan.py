"""The header of a plan, read without the library: what does not fit is refused before anything deserialises it.

Layout (little-endian), as NVIDIA's open trtexec reads it and plans of TensorRT-RTX 1.7 show it:
bytes 0-3 tag, 4-7 serialisation version (0), 16-23 total size, 24-27 major, minor, patch, build.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from cotenant.models.errors import WorkError
from cotenant.runners.tensorrt.flavour import FLAVOURS, Flavour, Installed, version_numbers

HEADER = struct.Struct("<4sI8xQ4B")
SERIALISATION_VERSION = 0


class PlanRefused(WorkError):
    """A file is no plan, is cut short, or was built by another library or version than the one here."""


@dataclass(frozen=True)
class PlanHeader:
    """What a plan says of itself.

    Attributes:
        flavour: The library that built it.
        version: Its version, four numbers of one byte each.
        byte_count: Size of the whole plan.
    """

    flavour: Flavour
    version: tuple[int, int, int, int]
    byte_count: int

    @property
    def builder(self) -> str:
        """Name and version of what built it."""
        return f"{self.flavour.title} {'.'.join(map(str, self.version))}"


def read_header(path: Path) -> PlanHeader:
    """Return a plan's header; PlanRefused if the file is no plan or not whole."""
    try:
        with path.open("rb") as stream:
            data = stream.read(HEADER.size)
        actual_bytes = path.stat().st_size
    except OSError as error:
        raise PlanRefused(f"{path} cannot be read ({error.strerror}); build the engine again") from error
    flavour = next((each for each in FLAVOURS if data[:4] == each.plan_tag), None)
    if flavour is None:
        kinds = " or ".join(each.title for each in FLAVOURS)
        raise PlanRefused(f"{path} is no plan of {kinds} (it begins with {data[:4]!r}); build the engine again")
    if len(data) < HEADER.size:
        raise PlanRefused(f"{path} was cut short: {len(data)} bytes hold no whole header; build the engine again")
    _, serialisation, byte_count, *version = HEADER.unpack(data)
    if serialisation != SERIALISATION_VERSION:
        raise PlanRefused(
            f"{path} is a {flavour.title} plan of format {serialisation}, cotenant reads format"
            f" {SERIALISATION_VERSION}; build the engine again"
        )
    if actual_bytes != byte_count:
        raise PlanRefused(f"{path} has {actual_bytes} bytes, its header says {byte_count}; build the engine again")
    return PlanHeader(flavour, (version[0], version[1], version[2], version[3]), byte_count)


def check_plan(path: Path, here: Installed) -> PlanHeader:
    """Return the header of a plan that the TensorRT here can deserialise; PlanRefused naming both sides otherwise."""
    header = read_header(path)
    numbers = version_numbers(here.version)  # the build number is left out where the installation does not say it
    fits = all(own == number & 0xFF for own, number in zip(header.version, numbers, strict=False))
    if header.flavour != here.flavour or not fits:
        raise PlanRefused(f"{path} was built by {header.builder}, here is {here}; build the engine again")
    return header
