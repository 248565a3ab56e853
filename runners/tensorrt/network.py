"""From an ONNX file to TensorRT's network, with every shape fixed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.tensorrt.api_build import (
    Builder,
    INetworkDefinition,
    IOptimizationProfile,
    ITensor,
    Module,
    OnnxParser,
    ParserError,
)
from cotenant.runners.tensorrt.build_log import BuildLog, shortened


def parse(
    trt: Module, builder: Builder, graph: Path, logger: Any, log: BuildLog, where: str
) -> tuple[INetworkDefinition, OnnxParser]:
    """Return a file's network, its types as the file states them, and the parser, which holds the weights.

    Raises:
        UserError: TensorRT's ONNX parser refuses the file; the line holds its reason and the node.
    """
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reason = "; ".join(map(told, errors)) or log.reason()
        raise UserError(f"{where}: TensorRT's ONNX parser refuses it: {shortened(reason)}; export it without that")
    return network, parser


def told(error: ParserError) -> str:
    """Return a parser's error: the node, what is wrong, and the parser's own line."""
    code = getattr(error.code(), "name", str(error.code()))
    place = f"{error.file()}:{error.line()}, {error.func()}"
    node = f"node {error.node()} ({error.node_operator()} {error.node_name()!r}): " if error.node() >= 0 else ""
    return f"{node}{code} {' '.join(error.desc().split())} ({place})"


def fixing_profile(
    builder: Builder, network: INetworkDefinition, shapes: Mapping[str, Sequence[int]], where: str
) -> IOptimizationProfile | None:
    """Return the profile that gives every open dimension its one size; None if none is open.

    Raises:
        UserError: The size of an open dimension is not known, or the file fixes another shape than was asked for.
    """
    profile = None
    for tensor in inputs_of(network):
        own, asked = list(tensor.shape), list(shapes.get(tensor.name, ()))
        fits = len(own) == len(asked) and all(size in (-1, wanted) for size, wanted in zip(own, asked, strict=True))
        if -1 in own and not asked:
            raise UserError(f"{where}: input {tensor.name} leaves dimensions open ({own}); give every size")
        if not fits:
            raise WorkError(f"{where}: input {tensor.name} has the shape {own} in TensorRT, {asked} was exported")
        if -1 in own:
            profile = profile or builder.create_optimization_profile()
            profile.set_shape(tensor.name, asked, asked, asked)
    return profile


def check_outputs(network: INetworkDefinition, where: str) -> None:
    """Refuse outputs whose size depends on the data: memory could not be set aside, nor the work be the same twice.

    For networks whose inputs are all fixed.
    """
    for tensor in outputs_of(network):
        if -1 in list(tensor.shape):
            raise UserError(
                f"{where}: the size of output {tensor.name} depends on the data ({list(tensor.shape)});"
                " cut off the operators behind it"
            )


def inputs_of(network: INetworkDefinition) -> list[ITensor]:
    """Return the inputs."""
    return [network.get_input(index) for index in range(network.num_inputs)]


def outputs_of(network: INetworkDefinition) -> list[ITensor]:
    """Return the outputs."""
    return [network.get_output(index) for index in range(network.num_outputs)]


def facts_of(tensors: Sequence[ITensor]) -> list[dict[str, Any]]:
    """Return name, dtype and shape of tensors as a report keeps them."""
    return [{"name": each.name, "dtype": each.dtype.name, "shape": list(each.shape)} for each in tensors]
