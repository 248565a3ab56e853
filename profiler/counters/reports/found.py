"""What a reader found, before anything of it is believed."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """One value as a reader found it.

    Attributes:
        number: None where it is no number.
        unit: As the reader named it; None where values are in base units by definition.
        told: The value as it stands, for messages.
    """

    number: float | None
    unit: str | None
    told: str


@dataclass(frozen=True)
class Found:
    """One result as a reader found it; the fields are those of Workload."""

    name: str
    grid: tuple[int, int, int] | None
    block: tuple[int, int, int] | None
    values: Mapping[str, Value]
    is_range: bool
