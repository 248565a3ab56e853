"""The packages that cotenant needs, and those of each extra: what is there, what is missing."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.profiler.doctor.check import Check

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OWN_NAME = "cotenant"
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

Declared = tuple[list["Requirement"], dict[str, list["Requirement"]]]


def checks(pyproject: Path = PYPROJECT) -> Iterator[Check]:
    """Tell the base packages, each extra, and a package that does harm."""
    base, extras = declared(pyproject)
    yield _base(base)
    retired = _version("pynvml")
    if retired is not None:
        told = f"the retired distribution pynvml {retired} hooks into the import of nvidia-ml-py"
        yield Check(
            "packages.pynvml", "limited", told, "pip uninstall pynvml; pip install --force-reinstall nvidia-ml-py"
        )
    for name, requirements in extras.items():
        yield _extra(name, requirements)


def install_line(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{OWN_NAME}[{extra}]'"


def declared(pyproject: Path) -> Declared:
    """Return what is required on this machine, for the base and for each extra.

    A checkout's own list goes first: an editable installation keeps the list of the day it was made.
    """
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text()).get("project", {})
        if project.get("name") == OWN_NAME:
            extras = project.get("optional-dependencies", {})
            return _for(project.get("dependencies", []), ""), {name: _for(extras[name], "") for name in extras}
    recorded = requires(OWN_NAME) or []
    base = _for(recorded, "")
    names = metadata(OWN_NAME).get_all("Provides-Extra") or []
    known = set(map(str, base))
    return base, {name: [one for one in _for(recorded, name) if str(one) not in known] for name in names}


def _for(texts: Iterable[str], extra: str) -> list["Requirement"]:
    """Return the requirements that hold for this Python and machine when an extra ("" for none) is asked for."""
    from packaging.requirements import Requirement

    parsed = map(Requirement, texts)
    return [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": extra})]


def _base(requirements: list["Requirement"]) -> Check:
    there, lacking = _sorted_out(requirements)
    told = f"{len(there)} of {len(there) + len(lacking)} there"
    if not lacking:
        return Check("packages.base", "ok", told)
    return Check("packages.base", "limited", f"{told}; lacking: {', '.join(lacking)}", f"pip install {OWN_NAME}")


def _extra(name: str, requirements: list["Requirement"]) -> Check:
    there, lacking = _sorted_out(requirements)
    if not lacking:
        return Check(f"extra.{name}", "ok", ", ".join(there))
    told = f"lacking: {', '.join(lacking)}" + (f"; there: {', '.join(there)}" if there else "")
    return Check(f"extra.{name}", "limited" if there else "missing", told, install_line(name))


def _sorted_out(requirements: list["Requirement"]) -> tuple[list[str], list[str]]:
    there: list[str] = []
    lacking: list[str] = []
    for requirement in requirements:
        found = _version(requirement.name)
        if found is not None and requirement.specifier.contains(found, prereleases=True):
            there.append(f"{requirement.name} {found}")
        else:
            lacking.append(f"{requirement.name}{requirement.specifier}" + (f" (not {found})" if found else ""))
    return there, lacking


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
