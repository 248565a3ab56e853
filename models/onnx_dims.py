"""Open dimensions of an ONNX graph: which there are, and how they are fixed."""

from collections.abc import Iterator, Mapping

import onnx

from cotenant.models.errors import UserError

Dimension = onnx.TensorShapeProto.Dimension


def graph_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are no weights."""
    held = {initialiser.name for initialiser in graph.initializer}
    return [info for info in graph.input if info.name not in held]


def open_dims(model: onnx.ModelProto) -> list[str]:
    """Return the names of the open dimensions that are no batch dimension, in order."""
    batch = _batch_keys(model.graph)
    keys = [key for _, _, key, is_open in _input_dims(model.graph) if is_open and key not in batch]
    return list(dict.fromkeys(keys))


def fixed_model(
    model: onnx.ModelProto, batch_size: int | None, sizes: Mapping[str, int], where: str
) -> onnx.ModelProto:
    """Return a copy with every input of a fixed shape; shapes that the file states for other tensors are dropped.

    Args:
        model: The graph.
        batch_size: None: the file's own where it has one, else 1.
        sizes: Size of each dimension in `open_dims`.
        where: Names the model in messages.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    graph = fixed.graph
    batch = _batch_keys(graph)
    if not batch and batch_size is not None:
        _check_own_batch(graph, batch_size, where)
    for dim, _, key, is_open in list(_input_dims(graph)):
        if is_open:
            dim.dim_value = (batch_size or 1) if key in batch else sizes[key]
    del graph.value_info[:]
    for output in graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.Clear()
    return fixed


def _input_dims(graph: onnx.GraphProto) -> Iterator[tuple[Dimension, int, str, bool]]:
    """Yield each input's dimensions: itself, its axis, its name, whether it is open."""
    for info in graph_inputs(graph):
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            is_open = not dim.HasField("dim_value") or dim.dim_value < 1
            yield dim, axis, dim.dim_param or f"{info.name}.{axis}", is_open


def _batch_keys(graph: onnx.GraphProto) -> set[str]:
    return {key for _, axis, key, is_open in _input_dims(graph) if axis == 0 and is_open}


def _check_own_batch(graph: onnx.GraphProto, batch_size: int, where: str) -> None:
    first = graph_inputs(graph)[0]
    own = first.type.tensor_type.shape.dim[0].dim_value if first.type.tensor_type.shape.dim else 1
    if own != batch_size:
        raise UserError(
            f"{where}: its batch size is fixed at {own} (input {first.name}), {batch_size} was asked;"
            " export it with an open batch dimension or ask for its own"
        )
