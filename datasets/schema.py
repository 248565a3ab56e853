"""From the table of columns to Arrow schemas and to a page that people read."""

import json
from typing import Any

import pyarrow as pa

from cotenant.datasets.columns import LARGE, NAMED_UNITS, SCHEMA_VERSION, TABLES, UNIT_SUFFIXES, Column, Table

METADATA_KEY = b"cotenant"
SAME_EVERYWHERE = ("null_reasons", "censored", "co_censored")
PAGE_HEAD = f"""# Tables of a dataset

Schema version {SCHEMA_VERSION}, from `datasets/columns.py` by `python -m cotenant.datasets.schema > docs/tables.md`.
Where a value is null, `null_reasons` of its row says why; for {", ".join(table.name for table in LARGE)}, that of their
experiment (`null_reasons` of `experiments`, as `table.column`).

Rows are marked, never dropped. The default filter for training rows: executions with `role` main, `censored` none and
`co_censored` none, of experiments whose `verdict` is not failed; `overload` and other marks exclude nothing by
themselves. Rows marked `cold` are kept by it. Every score states the filter it used."""


def arrow_schema(table: Table) -> pa.Schema:
    """Return the table's Arrow schema; unit and description stand in each field's metadata."""
    identity = json.dumps({"schema_version": SCHEMA_VERSION, "table": table.name}, sort_keys=True)
    return pa.schema([_field(column) for column in table.columns], metadata={METADATA_KEY: identity.encode()})


def _field(column: Column) -> pa.Field:
    metadata = {"description": column.meaning}
    if column.unit:
        metadata["unit"] = column.unit
    return pa.field(column.name, column.type, nullable=column.nullable, metadata=metadata)


def table_of(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a table, sorted by its key (nulls first)."""
    ordered = sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in table.key])
    schema = arrow_schema(table)
    columns = [pa.array([row[field.name] for row in ordered], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def unit_of_name(name: str) -> str:
    """Return the unit that a column's name says, "" if it says none."""
    found = [unit for suffix, unit in UNIT_SUFFIXES.items() if name.endswith(suffix)]
    return NAMED_UNITS.get(name, found[0] if found else "")


def columns_page() -> str:
    """Return all tables and columns as Markdown: the page docs/tables.md."""
    return "\n\n".join([PAGE_HEAD, *(_section(table) for table in TABLES.values()), _words()]) + "\n"


def _section(table: Table) -> str:
    lines = [
        f"## {table.name}",
        f"One row per {table.row}; unique by ({', '.join(table.key)}).",
        "",
        "| column | type | unit | null | meaning |",
        "|---|---|---|---|---|",
    ]
    for column in table.columns:
        meaning = column.meaning + (" ([words](#words))" if column.words else "")
        null = "yes" if column.nullable else ""
        lines.append(f"| `{column.name}` | {type_name(column.type)} | {column.unit} | {null} | {meaning} |")
    return "\n".join(lines)


def _words() -> str:
    """Return what each word means, once for all columns that may hold it."""
    lists: dict[tuple[tuple[str, str], ...], dict[str, None]] = {}
    for table in TABLES.values():
        for column in table.columns:
            if column.words:
                everywhere = column.name in SAME_EVERYWHERE
                name = column.name if everywhere else f"{table.name}.{column.name}"
                lists.setdefault(tuple(column.words.items()), {})[name] = None
    sections = ["## Words"]
    for meanings, names in lists.items():
        title = ", ".join(f"`{name}`" for name in names)
        sections.append("\n".join([f"### {title}", "", *(f"- `{word}`: {meaning}" for word, meaning in meanings)]))
    return "\n\n".join(sections)


def type_name(kind: pa.DataType) -> str:
    """Return a type as people say it: a dictionary of strings is a string."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {type_name(kind.key_type)} to {type_name(kind.item_type)}"
    return str(kind)


if __name__ == "__main__":
    print(columns_page(), end="")
