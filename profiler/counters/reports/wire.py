"""The wire format of protobuf messages, as far as it takes to walk over one: numbers, and bytes behind a length.

Source: Protocol Buffers documentation, "Encoding".
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
LONGEST_VARINT = 10


class Malformed(ValueError):
    """These bytes are no message."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number and value: a number, or the bytes of a text, message or fixed-width number."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in FIXED_BYTES:
            length = FIXED_BYTES[kind]
        else:
            raise Malformed(f"a field of unknown kind {kind}")
        if at + length > len(message):
            raise Malformed("a field ends before its time")
        yield number, message[at : at + length]
        at += length


def numbers(message: memoryview) -> dict[int, int]:
    """Return the fields that are plain numbers."""
    return {number: value for number, value in fields(message) if isinstance(value, int)}


def messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the bytes of each field of one number."""
    for number, value in fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def text(value: int | memoryview | None) -> str:
    """Return a text field's value; "" where it is absent."""
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(message[at : at + LONGEST_VARINT]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise Malformed("a number ends before its time")
