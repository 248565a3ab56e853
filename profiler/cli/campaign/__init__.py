"""cotenant campaign: all of it from one YAML spec."""

from cotenant.profiler.cli.lazy import LazyGroup

command = LazyGroup(
    "campaign", __name__, ("run", "status"), help="Run a whole campaign from one YAML spec, and tell how far it is."
)
