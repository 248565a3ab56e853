"""Device files: what a simulated GPU is, as YAML; the packaged ones name the source of every number.

    sm_count: {value: 58, source: "datasheet: ..."}     as the packaged files have it
    sm_count: 58                                        will do in a file of your own

A file of your own may say `base: l4` and change some keys. A device is asked for by packaged name or path, with scalar
keys changed after a colon: `l4:noise_pct=0`, `mine.yaml:launch_gap_ns=800,slice_ns=2000000`.
"""

import difflib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from cotenant.models.errors import UserError
from cotenant.runners.simulated.device_schema import DeviceFile, PeakFlop

__all__ = ["DeviceFile", "PeakFlop", "device_names", "load_device"]

PACKAGE = "cotenant.runners.simulated.devices"
SUFFIXES = (".yaml", ".yml")
TEXTS = ("name", "capability")
SCALARS = [key for key in DeviceFile.model_fields if key not in ("peak_flop_per_s", "faults", "sources")]


def device_names() -> list[str]:
    """Return the names of the devices that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(PACKAGE).iterdir() if entry.name.endswith(".yaml")
    )


def load_device(name_or_path: str) -> DeviceFile:
    """Return a device by packaged name or path, with `key=value` changes after a colon; UserError otherwise."""
    name, options = _split_options(name_or_path)
    return _checked({**_content(name, ()), **options}, name_or_path)


def _split_options(text: str) -> tuple[str, dict[str, Any]]:
    if ":" not in text or Path(text).is_file():
        return text, {}
    name, _, tail = text.rpartition(":")
    options = {}
    for part in tail.split(","):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise UserError(f"device {text!r}: {part!r} is no `key=value`; write e.g. {name}:noise_pct=0")
        if key not in SCALARS:
            raise UserError(f"device {text!r}: no single number or text is called {key!r}; {_hint(key, SCALARS)}")
        options[key] = value if key in TEXTS else _number(value, f"device {text!r}: `{key}`")
    return name, options


def _number(text: str, where: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UserError(f"{where}: {text!r} is no number")


def _content(name: str, path_so_far: tuple[str, ...]) -> dict[str, Any]:
    """Return a file's keys, its base's first."""
    if name in path_so_far:
        raise UserError(f"{path_so_far[-1]}: `base` leads back to {name}; name a packaged device")
    content = _parsed(name)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise UserError(f"{name}: `base` must be the name or path of a device, not {base!r}")
    beside = Path(name).parent / base
    under = _content(str(beside) if beside.is_file() else base, (*path_so_far, name))
    return _merged(under, content)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = {**under, **over}
    peaks = (under.get("peak_flop_per_s"), over.get("peak_flop_per_s"))
    if all(isinstance(each, dict) for each in peaks):
        merged["peak_flop_per_s"] = {**peaks[0], **peaks[1]}  # type: ignore[dict-item]
    return merged


def _parsed(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    elif name in device_names():
        text = files(PACKAGE).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    elif name.endswith(SUFFIXES):
        raise UserError(f"no device file {name}; packaged devices are: {', '.join(device_names())}")
    else:
        near = difflib.get_close_matches(name.lower(), device_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"packaged devices are: {', '.join(device_names())}"
        raise UserError(f"no simulated device {name!r}; {hint} A device file of your own is named by its path")
    return dict(_mapping(text, name))


@lru_cache(maxsize=32)
def _mapping(text: str, where: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{where} holds no device: expected keys base, {', '.join(DeviceFile.model_fields)}")
    return content


def _checked(content: dict[str, Any], where: str) -> DeviceFile:
    try:
        return DeviceFile.model_validate(content)
    except ValidationError as error:
        # a mistyped key is both unknown and missing: the first says more
        fault = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = _known_keys(fault["loc"][:-1])
            raise UserError(f"{where}: unknown key `{place}`; {_hint(str(fault['loc'][-1]), known)}") from error
        if fault["type"] == "missing":
            raise UserError(f"{where}: `{place}` is missing; give it, or take it from a device with `base:`") from error
        raise UserError(f"{where}: `{place}`: {fault['msg']}, not {fault['input']!r}") from error


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    schema: type[BaseModel] = DeviceFile
    for part in place:
        kinds = [schema.model_fields[str(part)].annotation]
        kinds += list(getattr(kinds[0], "__args__", ()))
        schema = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return list(schema.model_fields)


def _hint(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else "known keys: " + ", ".join(known)
