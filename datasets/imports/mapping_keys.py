"""What mapping files of both sorts have in common: keys are known ones, and a device is told with its facts."""

from collections.abc import Collection, Mapping
from typing import Any

from cotenant.datasets import words
from cotenant.models.digest import digest_id
from cotenant.models.errors import UserError

DEVICE_SIZES = ("l2_bytes", "dram_bytes")
DEVICE_RATES = ("datasheet_flop_per_s", "datasheet_dram_bytes_per_s")
DEVICE = ("name", "kind", "sm_count", "device_type", *DEVICE_SIZES, *DEVICE_RATES)
ENGINE_KIND = "imported"


def keys_of(found: Any, where: str, needed: Collection[str], may: Collection[str] = ()) -> dict[str, Any]:
    """Return a mapping whose keys are right; UserError names the key that is missing or unknown."""
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UserError(f"{where} is no mapping of names to values; it takes: {', '.join((*needed, *may))}")
    for key in found:
        if key not in needed and key not in may:
            raise UserError(f"{where}: there is no key {key!r}; it takes: {', '.join((*needed, *may))}")
    for key in needed:
        if found.get(key) is None:
            raise UserError(f"{where}: it lacks {key!r}; add it")
    return found


def text_of(found: Mapping[str, Any], key: str, where: str) -> str | None:
    """Return a text, None where it is not told."""
    value = found.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UserError(f"{where}: {key} is {value!r}, which is no text; write a name")
    return value


def word_of(found: Mapping[str, Any], key: str, where: str, known: Mapping[str, Any]) -> str | None:
    """Return one of some words, None where it is not told."""
    value = text_of(found, key, where)
    if value is not None and value not in known:
        raise UserError(f"{where}: {key} is {value!r}; it may be: {', '.join(known)}")
    return value


def whole_of(found: Mapping[str, Any], key: str, where: str, low: int) -> int | None:
    """Return a whole number, None where it is not told."""
    value = found.get(key)
    if value is not None and (type(value) is not int or not low <= value < 2**63):
        raise UserError(f"{where}: {key} is {value!r}, which is no whole number from {low}; correct it")
    return value


def device_of(content: Any, where: str) -> dict[str, Any]:
    """Return a device as raw files tell it; what is not told is None."""
    where = f"{where}, device"
    found = keys_of(content, where, DEVICE[:3], DEVICE[3:])
    facts: dict[str, Any] = {
        "name": text_of(found, "name", where),
        "kind": word_of(found, "kind", where, words.DEVICE_KINDS),
        "sm_count": whole_of(found, "sm_count", where, 1),
        **{key: whole_of(found, key, where, 1) for key in DEVICE_SIZES},
    }
    for key in DEVICE_RATES:
        value = found.get(key)
        if value is not None and (
            not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e30
        ):
            raise UserError(f"{where}: {key} is {value!r}, which is no number above 0; correct it")
        facts[key] = None if value is None else float(value)
    facts["device_type"] = text_of(found, "device_type", where) or facts["name"]
    return {"device_id": digest_id(["imported device", facts]), **facts}


def engine_of(model: str, batch_size: int, precision: str | None, runner: str, device_id: str) -> dict[str, Any]:
    """Return an engine as raw files tell it; all that another tool's numbers do not tell is None."""
    identity = {"model": model, "batch_size": batch_size, "precision": precision, "runner": runner}
    unknown = ("family", "input_shapes", "build_target", "source_sha256", "engine_sha256", "engine_bytes")
    return {
        "engine_id": digest_id(["imported engine", identity, device_id]),
        **identity,
        "engine_kind": ENGINE_KIND,
        "build_index": 0,
        **dict.fromkeys(unknown),
    }
