"""How engines of the simulated runner come to be: the kernel list of a model or probe on one device, and nothing else.

Times stand in the list, so an engine belongs to one device file: its digest is the build target. No weights are made.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cotenant.models.digest import digest_id
from cotenant.models.model import Model, Precision
from cotenant.models.zoo import resolve
from cotenant.runners.engine_cache import Built, file_digest, obtain, own_version
from cotenant.runners.network_request import check_request
from cotenant.runners.probe_names import is_probe
from cotenant.runners.protocol import Engine
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.kernel_list import RUNNER, KernelList, write_kernels
from cotenant.runners.simulated.probes import Probe, parse_probe, probe_kernels
from cotenant.runners.simulated.roofline import kernels_of

FLAGS = {"revision": 1}  # counts changes of what a build makes of the same model
ENGINE_KIND = "simulated"


def engine_id(model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
    """Return the id that `build` gives on the device whose file has the digest `target`; builds nothing."""
    check_request(batch_size, precision, build_index)
    if is_probe(model):
        return _id(parse_probe(model).source_sha256(), {}, "fp32", target, build_index)
    network = resolve(model)
    shapes = _input_shapes(network, batch_size, precision)
    return _id(network.source_sha256(precision), shapes, precision, target, build_index)


def build(
    model: str, batch_size: int, precision: Precision, device: DeviceFile, cache: Path, build_index: int = 0
) -> Engine:
    """Build an engine or take it from the cache; a probe has no batch size (1) and no precision (fp32).

    Raises:
        UserError: No such model, probe, batch size or precision, or a cache that cannot be written.
    """
    target = device.digest()
    key = engine_id(model, batch_size, precision, target, build_index)
    common = {"engine_id": key, "runner": RUNNER, "build_target": target, "build_index": build_index}
    if is_probe(model):
        return obtain(cache, key, _probe_builder(common, parse_probe(model), device))
    network = resolve(model)
    engine = obtain(cache, key, _model_builder(common, network, batch_size, precision, device))
    # the same content may have been built under another path
    return replace(engine, model=network.name, family=network.family)


def _model_builder(
    common: dict[str, Any], model: Model, batch_size: int, precision: Precision, device: DeviceFile
) -> Callable[[Path], Built]:
    def write(folder: Path) -> Built:
        kernels = kernels_of(model.operator_costs(batch_size, precision), device, precision)
        fields = {
            **common,
            **_file_fields(folder, kernels),
            "model": model.name,
            "family": model.family,
            "batch_size": batch_size,
            "input_shapes": _input_shapes(model, batch_size, precision),
            "precision": precision,
            "engine_kind": ENGINE_KIND,
            "source_sha256": model.source_sha256(precision),
            **asdict(model.cost(batch_size, precision)),
        }
        return Built(fields, _facts(device, None))

    return write


def _probe_builder(common: dict[str, Any], probe: Probe, device: DeviceFile) -> Callable[[Path], Built]:
    def write(folder: Path) -> Built:
        mac_count = probe.mac_count(device)
        fields = {
            **common,
            **_file_fields(folder, probe_kernels(probe, device)),
            "model": probe.name,
            "family": "probe",
            "batch_size": 1,
            "input_shapes": {},
            "precision": "fp32",
            "engine_kind": "probe",
            "source_sha256": probe.source_sha256(),
            "parameter_count": 0,
            "weight_bytes": 0,
            "mac_count": mac_count,
            "flop_count": 2 * mac_count,
            "read_bytes": probe.read_bytes(device),
            "write_bytes": 0,
        }
        return Built(fields, _facts(device, probe))

    return write


def _file_fields(folder: Path, kernels: KernelList) -> dict[str, Any]:
    path = write_kernels(folder, kernels)
    return {"engine_sha256": file_digest(path), "engine_bytes": path.stat().st_size}


def _facts(device: DeviceFile, probe: Probe | None) -> dict[str, Any]:
    return {
        "flags": FLAGS,
        "versions": {},
        "probe": None if probe is None else probe.as_dict(),
        "device": device.model_dump(mode="json", exclude={"sources"}),
    }


def _id(
    source_sha256: str, input_shapes: dict[str, list[int]], precision: Precision, target: str, build_index: int
) -> str:
    runner = [RUNNER, own_version()]
    return digest_id([source_sha256, sorted(input_shapes.items()), precision, runner, target, FLAGS, build_index])


def _input_shapes(model: Model, batch_size: int, precision: Precision) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.shape) for tensor in model.inputs(batch_size, precision)}
