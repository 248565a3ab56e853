"""With the campaign's raw files at hand: the dataset is derived from these very files, and their siblings are whole."""

from collections.abc import Iterator
from pathlib import Path

from cotenant.datasets import raw
from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.folders import RAW
from cotenant.datasets.parquet import reading
from cotenant.models.digest import sha256_of_file
from cotenant.models.errors import UserError

AGAIN = "derive the dataset again with `cotenant dataset build`"


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare digests of raw files with provenance, and of siblings with their main file."""
    if small.campaign is None or not (small.campaign / RAW).is_dir():
        return
    folder = small.campaign / RAW
    known = {row["subject_id"]: row["raw_sha256"] for row in small.rows["provenance"] if row["subject"] == "experiment"}
    finished = raw.finished(folder)
    for experiment_id in sorted(finished - set(known)):
        yield "experiments", f"{folder / experiment_id}.parquet is not in the dataset; {AGAIN}"
    for experiment_id in sorted(set(known) - finished):
        yield "provenance", f"experiment {experiment_id} has no raw file any more"
    for experiment_id in sorted(set(known) & finished):
        path = folder / f"{experiment_id}{raw.SUFFIX}"
        if _sha256(path) != known[experiment_id]:
            yield "provenance", f"{path} is not the file that the dataset was derived from; {AGAIN}"
        yield from (("provenance", fault) for fault in _sibling_faults(path))


def _sibling_faults(path: Path) -> Iterator[str]:
    try:
        metadata = raw.read_metadata(path)
    except (raw.RawDamagedError, UserError) as error:
        yield str(error)
        return
    for name, sha256 in sorted(metadata["siblings"].items()):
        sibling = raw.sibling_path(path.parent, metadata["experiment_id"], name)
        if not sibling.is_file():
            yield f"{sibling} is missing, which {path.name} lists"
        elif _sha256(sibling) != sha256:
            yield f"{sibling} has another digest than {path.name} says"


def _sha256(path: Path) -> str:
    with reading(path):
        return sha256_of_file(path)


CHECK = DatasetCheck("raw files", run)
