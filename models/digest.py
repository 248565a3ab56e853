"""Digests that name things: the same content gives the same id on every machine."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ID_HEX_CHARS = 20  # 80 bits: a million ids collide with probability 4e-13
CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces; raises TypeError on what JSON cannot hold, ValueError on NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value as 64 hex characters."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_id(value: Any) -> str:
    """Return a short id (20 hex characters) of a JSON value."""
    return sha256_of(value)[:ID_HEX_CHARS]


def sha256_of_file(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a file's bytes; `progress` is told the bytes read."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest()
