"""Headers of plans, written from their published layout."""

from pathlib import Path

RTX_TAG, TENSORRT_TAG = b"vtrt", b"ftrt"
HEADER_BYTES = 28


def plan_bytes(tag: bytes = RTX_TAG, version: tuple[int, ...] = (1, 7, 1, 116), byte_count: int = 64) -> bytes:
    """A plan of that size with zeros behind its header."""
    return (
        tag + bytes(4) + bytes(8) + byte_count.to_bytes(8, "little") + bytes(version) + bytes(byte_count - HEADER_BYTES)
    )


def write_plan(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
