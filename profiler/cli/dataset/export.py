"""cotenant dataset export: a dataset where others take it from, with card and metadata."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cotenant.profiler.cli.options import json_option


@click.command("export")
@click.argument("source", metavar="DIR")
@click.option("--to", "destination", help="Folder or URL (s3://bucket/path); without it, card and metadata only.")
@click.option("--name", help="Name of the dataset; the folder's by default.")
@click.option("--licence", help="Licence as an SPDX identifier or URL; nobody but you can say which.")
@click.option("--url", help="Where it is published.")
@json_option
def command(
    source: str, destination: str | None, name: str | None, licence: str | None, url: str | None, as_json: bool
) -> None:
    """Copy the dataset in DIR to a folder or an object store, partitioned, with README.md and croissant.json.

    Without --to both are written into the dataset where it lies. Where DIR is a URL of an exported dataset, it is
    copied back and every file's digest is verified. Credentials and region of a store come from its usual environment
    variables (AWS_ACCESS_KEY_ID ...), another endpoint from the URL (?endpoint_override=host:port&scheme=http).

    \b
    Examples:
      cotenant dataset export data --licence cc-by-4.0
      cotenant dataset export data --to s3://bucket/l4-campaign --licence cc-by-4.0
      cotenant dataset export s3://bucket/l4-campaign --to here
    """
    from cotenant.datasets.export import export_dataset, fetch_dataset, write_descriptions
    from cotenant.datasets.object_store import is_store

    if is_store(source):
        if destination is None or is_store(destination):
            raise click.UsageError("a dataset from a store goes into a folder here; name it with --to")
        done = fetch_dataset(source, Path(destination))
    elif destination is None:
        dataset = write_descriptions(Path(source), name, licence, url)
        click.echo(json.dumps({"destination": str(dataset)}) if as_json else f"README.md, croissant.json: {dataset}")
        return
    else:
        done = export_dataset(Path(source), destination, name, licence, url)
    told = f"{done.file_count} files, {done.size_bytes:,} bytes: {done.destination}"
    click.echo(json.dumps(asdict(done), indent=1) if as_json else told)
