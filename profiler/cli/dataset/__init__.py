"""cotenant dataset: the tables that a campaign leaves."""

from cotenant.profiler.cli.lazy import LazyGroup

command = LazyGroup(
    "dataset", __name__, ("build", "check", "describe"), help="Derive a dataset, check it, and tell what it says."
)
