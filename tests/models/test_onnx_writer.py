"""Every variant's graph is sound ONNX of the stated shapes, small, and the same bytes each time."""

import onnx
import pytest
from onnx import TensorProto, shape_inference

from cotenant.models import zoo
from cotenant.models.model import Precision
from cotenant.models.onnx_writer import graph_bytes, onnx_model
from cotenant.models.zoo import ZooModel, catalogue, resolve

NAMES = [entry.name for entry in catalogue()]
GRAPH_BYTES_MAX = 1 << 20


def zoo_model(name: str) -> ZooModel:
    model = resolve(name)
    assert isinstance(model, ZooModel)
    return model


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", NAMES)
def test_every_graph_is_sound_and_has_the_stated_shapes(name: str, precision: Precision) -> None:
    network = zoo_model(name).network(2, precision)
    graph = onnx_model(network)
    for initialiser in graph.graph.initializer:  # the checker would look for the weights file; a shape needs none
        assert initialiser.data_location == TensorProto.EXTERNAL
        initialiser.ClearField("external_data")
        initialiser.data_location = TensorProto.DEFAULT
    inferred = shape_inference.infer_shapes(graph, check_type=True, strict_mode=True, data_prop=True).graph
    shapes = {info.name: info for info in [*inferred.value_info, *inferred.output]}
    float_type = TensorProto.FLOAT if precision == "fp32" else TensorProto.FLOAT16
    for value in network.outputs:
        tensor_type = shapes[value.name].type.tensor_type
        assert tuple(dim.dim_value for dim in tensor_type.shape.dim) == value.shape
        assert tensor_type.elem_type == float_type
    for node in inferred.node:
        for name_of_output in node.output:
            dims = shapes[name_of_output].type.tensor_type.shape.dim
            assert all(dim.HasField("dim_value") for dim in dims), name_of_output
    assert {initialiser.data_type for initialiser in graph.graph.initializer} == {float_type}


@pytest.mark.parametrize("name", ["resnet18:image=64", "yolov8n:image=64", "vit_ti_32:image=64", "roberta_tiny:seq=16"])
def test_the_checker_takes_the_exported_files(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for precision in ("fp32", "fp16"):
        export = resolve(name).export(1, precision, tmp_path_factory.mktemp("cache"))
        onnx.checker.check_model(str(export.graph_path), full_check=True)
        assert export.graph_path.stat().st_size < GRAPH_BYTES_MAX


@pytest.mark.parametrize("name", ["resnet152", "roberta_large", "yolov8x"])
def test_the_same_network_is_the_same_bytes(name: str) -> None:
    def written(batch_size: int) -> bytes:
        zoo._network.cache_clear()
        return graph_bytes(onnx_model(zoo_model(name).network(batch_size, "fp32")))

    assert written(2) == written(2)
    assert written(2) != written(4)
    assert len(written(2)) < GRAPH_BYTES_MAX
