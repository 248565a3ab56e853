"""What a family's file defines: its variants, their options, and the function that builds each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cotenant.models.errors import UserError
from cotenant.models.graph import Network


@dataclass(frozen=True)
class Option:
    """A whole number that a variant lets the user choose.

    Attributes:
        name: As in `resnet50:image=96`.
        default: The published size.
        low: Smallest value.
        high: Largest value.
        step: Values are multiples of it.
        unit: In words, for messages.
    """

    name: str
    default: int
    low: int
    high: int
    step: int
    unit: str

    def parse(self, text: str, where: str) -> int:
        """Return the number; UserError if it is none or does not suit."""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not self.low <= number <= self.high or number % self.step:
            raise UserError(f"{where}: {self.name}={text} does not suit; give {self.allowed}")
        return number

    @property
    def allowed(self) -> str:
        """What values there may be, in words."""
        multiples = f", a multiple of {self.step}" if self.step > 1 else ""
        return f"{self.name}=N with N from {self.low} to {self.high} {self.unit}{multiples}"


@dataclass(frozen=True)
class Variant:
    """One published size of a family.

    Attributes:
        build: Adds inputs, operators and outputs to an empty network, for these options.
        options: What the user may choose.
    """

    build: Callable[[Network, Mapping[str, int]], None]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Family:
    """A family's file defines one as FAMILY; the zoo finds it there."""

    name: str
    variants: Mapping[str, Variant]


def check_once(keys: Sequence[str], where: str) -> None:
    """Refuse an option that a model's name gives twice; UserError names it."""
    twice = [key for index, key in enumerate(keys) if key in keys[:index]]
    if twice:
        raise UserError(f"{where}: {twice[0]} is given twice; give it once")


def image_option(default: int = 224, step: int = 32, high: int = 2048) -> Option:
    """Return the option for the side of a square image."""
    return Option("image", default, step, high, step, "pixels")
