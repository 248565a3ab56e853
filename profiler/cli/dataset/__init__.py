"""cotenant dataset: the tables that a campaign leaves."""

from cotenant.profiler.cli.lazy import LazyGroup

command = LazyGroup(
    "dataset",
    __name__,
    ("build", "check", "describe", "features", "split", "trace", "merge", "export", "import", "figures"),
    help="Derive a dataset, check it, tell and draw what it says.",
)
