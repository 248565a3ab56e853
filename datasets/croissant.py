"""Croissant metadata of a dataset: which files, which tables, which columns with types and meanings, as JSON-LD.

Croissant 1.0 (MLCommons, https://docs.mlcommons.org/croissant/docs/croissant-spec.html); validated with mlcroissant.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.card_facts import CardFacts
from cotenant.models.digest import sha256_of_file

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
PARQUET = "application/x-parquet"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet"),
            *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
            "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}


def croissant(dataset: Path, facts: CardFacts) -> dict[str, Any]:
    """Return the metadata of a dataset's folder as plain JSON values."""
    files = {name: sorted((dataset / name).rglob("*.parquet")) for name in facts.row_counts}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.name,
        "description": facts.summary,
        "license": facts.licence,
        "url": facts.url,
        "version": facts.version,
        "datePublished": facts.measured_on,
        "isLiveDataset": False,
        "distribution": [entry for name, paths in files.items() for entry in _distribution(dataset, name, paths)],
        "recordSet": [_record_set(name, paths, facts.meaning_of(name)) for name, paths in files.items() if paths],
    }


def croissant_text(dataset: Path, facts: CardFacts) -> str:
    """Return the file's text, the same for the same dataset."""
    return json.dumps(croissant(dataset, facts), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _distribution(dataset: Path, name: str, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield every file with its digest; a table of several files is a set of them besides."""
    for path in paths:
        place = path.relative_to(dataset).as_posix()
        yield {
            "@type": "cr:FileObject",
            "@id": place,
            "name": place,
            "contentUrl": place,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": PARQUET,
            "sha256": sha256_of_file(path),
        }
    if len(paths) > 1:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "encodingFormat": PARQUET,
            "includes": f"{name}/**/*.parquet",
        }


def _record_set(name: str, paths: Sequence[Path], meaning: str) -> dict[str, Any]:
    if len(paths) > 1:
        source = {"fileSet": {"@id": f"{name}-files"}}
    else:
        source = {"fileObject": {"@id": f"{name}/{paths[0].relative_to(_root(paths[0], name)).as_posix()}"}}
    schema = pq.read_schema(paths[0])
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": meaning,
        "field": [_field(name, column, source) for column in schema if not pa.types.is_map(column.type)],
    }


def _root(path: Path, name: str) -> Path:
    return next(parent for parent in path.parents if parent.name == name)


def _field(table: str, column: pa.Field, source: dict[str, Any]) -> dict[str, Any]:
    told = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
    unit = f" [{told['unit']}]" if told.get("unit") else ""
    repeated = pa.types.is_list(column.type)
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": f"{table}/{column.name}",
        "description": told.get("description", column.name) + unit,
        "dataType": _type_of(column.type.value_type if repeated else column.type),
        "source": {**source, "extract": {"column": column.name}},
        **({"repeated": True} if repeated else {}),
    }


def _type_of(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _type_of(kind.value_type)
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    return "sc:Text"
