"""How specs and commands name what becomes an engine: a model of the zoo, the user's file, or a native probe."""

from cotenant.models.zoo import resolve
from cotenant.runners.probe_names import is_probe, parse_probe_name


def canonical_name(name: str) -> str:
    """Return a model's or probe's name as results carry it; UserError with the nearest right one if it is none.

    A probe has one batch size (1) and no precision of its own (fp32).
    """
    return str(parse_probe_name(name)) if is_probe(name) else resolve(name).name
