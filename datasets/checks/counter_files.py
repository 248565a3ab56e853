"""With the campaign's counters/ at hand: the dataset is derived from these very files, and says what they say."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.derive.counters import counter_files
from cotenant.datasets.folders import RAW
from cotenant.datasets.parquet import reading
from cotenant.models.digest import sha256_of_file

AGAIN = "derive the dataset again with `cotenant dataset build`"


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare digests of counters files with provenance."""
    known = {row["subject_id"]: row["raw_sha256"] for row in small.rows["provenance"] if row["subject"] == "counters"}
    if small.campaign is None or not (small.campaign / RAW).is_dir():
        return
    files = {path.stem: path for path in counter_files(small.campaign)}
    for counter_id in sorted(files.keys() - known.keys()):
        yield "throughputs", f"{files[counter_id]} is not in the dataset; {AGAIN}"
    for counter_id in sorted(known.keys() - files.keys()):
        yield "provenance", f"counters {counter_id} have no file any more"
    for counter_id in sorted(known.keys() & files.keys()):
        with reading(files[counter_id]):
            same = sha256_of_file(files[counter_id]) == known[counter_id]
        if not same:
            yield "provenance", f"{files[counter_id]} is not the file that the dataset was derived from; {AGAIN}"


CHECK = DatasetCheck("counter files", run)
