"""The table `provenance`: one row per experiment."""

from cotenant.datasets import words
from cotenant.datasets.column import I32, I64, NULLS, TEXT, TIME, WORD_MAP, Column, Table, count, one_of, text

PROVENANCE = Table(
    "provenance",
    "experiment",
    ("subject", "subject_id"),
    (
        one_of("subject", words.SUBJECTS, "What the row is about"),
        text("subject_id", "Its id"),
        Column("started_at", TIME, "", "Wall clock", True),
        Column("finished_at", TIME, "", "Wall clock", True),
        text("host", "Machine", True),
        Column("pid", I64, "", "Process", True, low=0),
        count("attempt_count", "Attempts until it succeeded", True, I32),
        text("git_commit", "Commit of cotenant", True),
        Column("versions", WORD_MAP, "", "Package -> version"),
        Column("environment", WORD_MAP, "", "Mode or version of the device -> as found; empty if not told"),
        text("raw_sha256", "Digest of its raw file", True, TEXT),
        NULLS,
    ),
)
