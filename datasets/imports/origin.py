"""Where an import comes from, kept beside what was made of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets.parquet import reading
from cotenant.models.atomic import write_atomic
from cotenant.models.digest import sha256_of, sha256_of_file
from cotenant.models.errors import UserError

RECORD = "import.json"


@dataclass(frozen=True)
class Origin:
    """A source file and the mapping that it was read by.

    Attributes:
        versions: Package -> version of the tool that imports.
    """

    file: str
    sha256: str
    mapping: Any
    versions: dict[str, str]

    @property
    def source(self) -> dict[str, Any]:
        """What stands in every experiment's spec."""
        return {"file": self.file, "sha256": self.sha256, "mapping_sha256": sha256_of(self.mapping)}

    def write(self, folder: Path) -> None:
        """Write it down with the whole mapping."""
        record = {**self.source, "mapping": self.mapping, "versions": self.versions}
        write_atomic(folder / RECORD, (json.dumps(record, indent=1) + "\n").encode())


def origin_of(source: Path, content: Any, where: str, versions: dict[str, str]) -> Origin:
    """Return the origin; UserError where the source is no file or the mapping holds what JSON cannot."""
    if not source.exists():
        raise UserError(f"{source} is not there; name the file to import")
    try:
        sha256_of(content)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: it holds something besides texts, numbers, lists and mappings: {error}") from error
    with reading(source):
        return Origin(source.absolute().name, _sha256(source), content, versions)


def _sha256(source: Path) -> str:
    """Return the digest of a file, or of the names and digests of a folder's files."""
    if source.is_dir():
        return sha256_of({path.name: sha256_of_file(path) for path in sorted(source.iterdir()) if path.is_file()})
    return sha256_of_file(source)


def check_free(out: Path) -> None:
    """Refuse a folder that holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already and not empty; choose another --out")
