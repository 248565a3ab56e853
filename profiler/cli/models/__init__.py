"""cotenant models: the zoo and the user's ONNX."""

from cotenant.profiler.cli.lazy import LazyGroup

command = LazyGroup(
    "models", __name__, ("list", "show", "export", "cost"), help="The zoo and your own ONNX: sizes, costs, files."
)
