"""Rows of a CSV or JSON-lines file as texts, each with its line; nothing is guessed and no column is shifted."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets.parquet import reading
from cotenant.models.errors import UserError

FORMATS = ("csv", "jsonl")


@dataclass(frozen=True)
class SourceRow:
    """One row.

    Attributes:
        line: Where it ends in the file, from 1.
        cells: Column -> text; "" where unknown.
    """

    where: str
    line: int
    cells: dict[str, str]

    def at(self, column: str) -> str:
        """Name file, line and column."""
        return f"{self.where}, line {self.line}, column {column!r}"


def read_rows(path: Path, form: str, delimiter: str, columns: set[str]) -> list[SourceRow]:
    """Read all rows; `form` is one of FORMATS.

    Raises:
        UserError: It cannot be read, is empty, lacks one of `columns`, or a line has another shape.
        WorkError: The system failed to read it.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; name a {form} file")
    with reading(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: it is not UTF-8; save it as UTF-8") from error
    rows = list(_csv(path, text, delimiter, columns) if form == "csv" else _json_lines(path, text, columns))
    if not rows:
        raise UserError(f"{path} holds no row of measurements; name another file")
    return rows


def _csv(path: Path, text: str, delimiter: str, columns: set[str]) -> Iterator[SourceRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header: list[str] | None = None
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if header is None:
                header = _header(path, reader.line_num, cells, columns)
                continue
            _check_width(path, reader.line_num, header, cells)
            yield SourceRow(str(path), reader.line_num, dict(zip(header, cells, strict=False)))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: it is no CSV: {error}; correct it") from error


def _header(path: Path, line: int, cells: list[str], columns: set[str]) -> list[str]:
    while not cells[-1]:  # a comma at the end of the line is no column
        cells = cells[:-1]
    for name in cells:
        if not name or cells.count(name) > 1:
            raise UserError(
                f"{path}, line {line}: the header names {name!r} twice or not at all; name each column once"
            )
    for name in sorted(columns - set(cells)):
        told = ", ".join(cells)
        raise UserError(f"{path}, line {line}: there is no column {name!r}; its columns are: {told}")
    return cells


def _check_width(path: Path, line: int, header: list[str], cells: list[str]) -> None:
    """Refuse rows that are not as wide as the header; empty cells beyond it are a comma at the line's end."""
    if len(cells) < len(header) or any(cells[len(header) :]):
        raise UserError(
            f"{path}, line {line}: it has {len(cells)} cells, the header {len(header)}; correct it, and quote numbers "
            "and texts that hold the delimiter"
        )


def _json_lines(path: Path, text: str, columns: set[str]) -> Iterator[SourceRow]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        where = f"{path}, line {line}"
        found = _object(where, content)
        for name in sorted(columns - found.keys()):
            raise UserError(f"{where}: there is no column {name!r}; its columns are: {', '.join(found)}")
        cells = {name: _text(f"{where}, column {name!r}", found[name]) for name in sorted(columns)}
        yield SourceRow(str(path), line, cells)


def _object(where: str, content: str) -> dict[str, Any]:
    """Return a JSON object with numbers as they are written, so that none is rounded."""
    try:
        pairs = json.loads(
            content, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=lambda found: found
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: it is no JSON object on one line: {error}; correct it") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs) or content.strip()[0] != "{":
        raise UserError(f"{where}: it is no JSON object; write one object a line")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UserError(f"{where}: it names a column twice; keep one of them")
    return found


def _text(where: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: it holds {type(value).__name__}, no number and no text; map another column")
    return value.strip()
