"""What is told of a spec that does not fit: one line with the place, what is wrong, and the nearest right key."""

import difflib
import math
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Fault = Any  # one entry of ValidationError.errors()
Place = tuple[int | str, ...]
TYPE_TAGS = {"bool", "float", "int", "str", "constrained-int"}  # pydantic puts the branch of a union into the place
KEY_FAULTS = ("missing", "extra_forbidden")
LIST_FAULTS = ("list_type", "tuple_type")


def first_fault(schema: type[BaseModel], error: ValidationError) -> str:
    """Return the line for the fault that says most."""
    # a mistyped key is both unknown and missing: the first says more
    fault = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place = _place(schema, fault)
    told = [each for each in error.errors() if _place(schema, each)[:1] == place[:1]]
    # of a union, the branch that went deepest is the one that was meant
    deepest = max(told, key=lambda each: (each["type"] == "extra_forbidden", len(_place(schema, each))))
    place = _place(schema, deepest)
    same = [
        each for each in told if _place(schema, each) == place and each["type"] not in ("missing", "extra_forbidden")
    ]
    return _line(schema, deepest, same or [deepest])


def not_finite(content: Any, place: Place = ()) -> Place | None:
    """Return the place of the first number that is infinite or none at all; None if there is none."""
    if isinstance(content, float) and not math.isfinite(content):
        return place
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return next((found for key, value in items if (found := not_finite(value, (*place, key))) is not None), None)


def truth_as_number(content: Any, parsed: Any, place: Place = ()) -> Place | None:
    """Return the place of the first true or false that was taken for a number; None if there is none."""
    if isinstance(content, bool) and not isinstance(parsed, bool):
        return place
    if isinstance(parsed, list) and len(parsed) == 1 and not isinstance(content, list):
        return truth_as_number(content, parsed[0], (*place, 0))  # one may stand for a list of one
    if isinstance(content, dict) and isinstance(parsed, dict):
        pairs: list[tuple[int | str, Any, Any]] = [(k, v, parsed[k]) for k, v in content.items() if k in parsed]
    elif isinstance(content, list) and isinstance(parsed, list) and len(content) == len(parsed):
        pairs = [(index, *both) for index, both in enumerate(zip(content, parsed, strict=True))]
    else:
        return None
    return next((found for k, v, p in pairs if (found := truth_as_number(v, p, (*place, k))) is not None), None)


def dotted(place: Place) -> str:
    """Return a place as messages show it, e.g. `engines.0.batch_sizes`."""
    return ".".join(map(str, place))


def _line(schema: type[BaseModel], fault: Fault, same: Sequence[Fault]) -> str:
    place = dotted(_place(schema, fault))
    if fault["type"] == "extra_forbidden":
        key, known = str(fault["loc"][-1]), _known_keys(schema, fault["loc"][:-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else "known keys: " + ", ".join(known)
        return f"unknown key `{place}`; {hint}"
    if fault["type"] == "missing":
        within, _, key = place.rpartition(".")
        return f"`{within}` needs one item more" if key.isdigit() else f"`{place}` is missing"
    messages = list(dict.fromkeys(_message(each, alone=len(same) == 1) for each in same))
    message = " or ".join([messages[0], *(each.removeprefix("Input should be ") for each in messages[1:])])
    return f"`{place}`: {message}" if place else message


def _message(fault: Fault, alone: bool) -> str:
    if fault["type"] in LIST_FAULTS:
        given = fault["input"]
        shown = alone and isinstance(given, str | int | float) and isinstance(fault["loc"][-1], str)
        return "Input should be a list" + (f", as in [{given}]" if shown else "")
    if fault["type"] == "model_type":
        return "Input should be keys with values"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return re.sub(r"^Tuple (.*?) after validation", r"List \1", message)


def _place(schema: type[BaseModel], fault: Fault) -> Place:
    """Return where a fault lies in the words of the spec: without the branches of unions."""
    schemas, place = [schema], []
    for index, part in enumerate(fault["loc"]):
        last_key = index == len(fault["loc"]) - 1 and fault["type"] in KEY_FAULTS
        if isinstance(part, int) or last_key or not _is_branch(part, schemas):
            place.append(part)
        schemas = _below(schemas, part)
    return tuple(place)


def _is_branch(part: str, schemas: Sequence[type[BaseModel]]) -> bool:
    if any(part in each.model_fields for each in schemas):
        return False
    return part.endswith("]") or part in TYPE_TAGS or part in {each.__name__ for each in schemas}


def _known_keys(schema: type[BaseModel], place: Place) -> list[str]:
    schemas = [schema]
    for part in place:
        schemas = _below(schemas, part)
    return [key for each in schemas for key in each.model_fields]


def _below(schemas: Sequence[type[BaseModel]], part: int | str) -> list[type[BaseModel]]:
    """Return what may stand below one part of a place."""
    named = [each for each in schemas if each.__name__ == part]
    fields = [each.model_fields[part] for each in schemas if isinstance(part, str) and part in each.model_fields]
    return named or [found for field in fields for found in _schemas_in(field.annotation)] or list(schemas)


def _schemas_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _schemas_in(part)]
