"""Stand-ins for the modules `pynvml` and `cuda.bindings.driver` on machines without a GPU: the same names, our answers.

Error classes, enumerations and the version constant are the real modules' own, so that a name that vanishes is noticed.
"""

import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

pynvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
real_driver = pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings: pip install 'cotenant[cuda]'")

SUCCESS = real_driver.CUresult.CUDA_SUCCESS


@dataclass
class Card:
    """One GPU. `mig` = in MIG mode, and CUDA shows an instance of it, whose UUID is not the card's."""

    name: str = "NVIDIA H100 80GB HBM3"
    number: int = 1
    sm_count: int = 132
    l2_bytes: int = 50 << 20
    dram_bytes: int = 80 << 30
    capability: tuple[int, int] = (9, 0)
    memory_clock_khz: int = 2_619_000
    bus_bits: int = 5120
    power_limit_mw: int | None = 700_000
    mig_mode: int | None = 0
    mig_instance: bool = False

    @property
    def identity(self) -> uuid.UUID:
        return uuid.UUID(int=self.number)

    @property
    def device_id(self) -> str:
        return f"GPU-{self.identity}"


@dataclass
class Machine:
    """What both libraries answer."""

    cards: list[Card] = field(default_factory=lambda: [Card()])
    driver_version: str = "580.82.07"
    cuda_version: int = real_driver.CUDA_VERSION
    nvml_error: type[Exception] | None = None
    init_status: Any = SUCCESS

    def nvml(self) -> Any:
        by_id = {card.device_id: card for card in self.cards if not card.mig_instance}

        def init() -> None:
            if self.nvml_error is not None:
                raise self.nvml_error()

        def handle(device_id: str) -> Card:
            if device_id not in by_id:
                raise pynvml.NVMLError_NotFound()
            return by_id[device_id]

        def known(value: Any) -> Any:
            if value is None:
                raise pynvml.NVMLError_NotSupported()
            return value

        names = {name: getattr(pynvml, name) for name in dir(pynvml) if name.startswith(("NVMLError", "NVML_"))}
        return SimpleNamespace(
            **names,
            nvmlInit=init,
            nvmlSystemGetDriverVersion=lambda: self.driver_version,
            nvmlDeviceGetHandleByUUID=handle,
            nvmlDeviceGetMigMode=lambda card: [known(card.mig_mode), card.mig_mode],
            nvmlDeviceGetPowerManagementLimit=lambda card: known(card.power_limit_mw),
        )

    def driver(self) -> Any:
        attributes = real_driver.CUdevice_attribute
        return SimpleNamespace(
            CUdevice_attribute=attributes,
            CUDA_VERSION=real_driver.CUDA_VERSION,
            cuInit=lambda flags: (self.init_status,),
            cuDriverGetVersion=lambda: (SUCCESS, self.cuda_version),
            cuDeviceGetCount=lambda: (SUCCESS, len(self.cards)),
            cuDeviceGet=lambda index: (SUCCESS, self.cards[index]),
            cuDeviceGetName=lambda length, card: (SUCCESS, card.name.encode().ljust(length, b"\0")),
            cuDeviceGetUuid=lambda card: (SUCCESS, SimpleNamespace(bytes=card.identity.bytes)),
            cuDeviceTotalMem=lambda card: (SUCCESS, card.dram_bytes),
            cuDeviceGetAttribute=lambda which, card: (SUCCESS, _attributes(card)[which]),
        )


def _attributes(card: Card) -> dict[Any, int]:
    names = real_driver.CUdevice_attribute
    return {
        names.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: card.sm_count,
        names.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: card.l2_bytes,
        names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: card.capability[0],
        names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: card.capability[1],
        names.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: card.memory_clock_khz,
        names.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: card.bus_bits,
    }
