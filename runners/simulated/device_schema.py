"""What a device file holds: the numbers of a simulated GPU, with the source of each beside it if it names one."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cotenant.models.digest import digest_id
from cotenant.runners.simulated.faults import Faults

Count = Annotated[int, Field(ge=1, le=1 << 16)]
CacheBytes = Annotated[int, Field(ge=1 << 16, le=1 << 36)]  # the law multiplies a footprint by a spill within int64
Bytes = Annotated[int, Field(ge=1 << 20, le=1 << 50)]
Rate = Annotated[int, Field(ge=10**6, le=10**18)]
Mhz = Annotated[int, Field(ge=1, le=100_000)]
Ns = Annotated[int, Field(ge=0, le=10**12)]


class PeakFlop(BaseModel):
    """Peak arithmetic by kind, dense (no sparsity), a multiply-accumulate counted as two; None = no such unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fp16_tensor: Rate | None
    tf32_tensor: Rate | None
    fp32_vector: Rate


class DeviceFile(BaseModel):
    """One simulated GPU.

    Attributes:
        capability: CUDA compute capability, e.g. `8.9`.
        sm_clock_mhz: The clock that the SMs run at; cards with a tight power limit hold less than the boost clock.
        boost_clock_mhz: The clock that the rates of SMs and L2 cache stand for.
        l2_bytes_per_s: What kernels can read of the L2 cache, all SMs together, at `boost_clock_mhz`.
        dram_bytes_per_s: Memory bandwidth by the data sheet; `dram_achieved_ratio` of it is what kernels reach.
        peak_flop_per_s: At `boost_clock_mhz`.
        launch_gap_ns: From the end of a kernel to the start of the next one in a CUDA graph.
        slice_ns: Time slice of processes that share the device without MPS.
        noise_pct: Spread of the factor of each execution (record 10).
        sources: Key -> where its number comes from; no part of the digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    capability: Annotated[str, Field(pattern=r"^\d+\.\d+$")]
    sm_count: Count
    sm_clock_mhz: Mhz
    boost_clock_mhz: Mhz
    memory_clock_mhz: Mhz
    l2_bytes: CacheBytes
    l2_bytes_per_s: Rate
    dram_bytes: Bytes
    dram_bytes_per_s: Rate
    dram_achieved_ratio: Annotated[float, Field(gt=0, le=1)]
    peak_flop_per_s: PeakFlop
    launch_gap_ns: Ns
    slice_ns: Annotated[int, Field(ge=1, le=10**12)]
    noise_pct: Annotated[float, Field(ge=0, le=100)] = 2.0
    faults: Faults = Faults()
    sources: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _sources_stand_beside(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        plain, sources = _parted(content, "")
        given = plain.get("sources", {})
        return {**plain, "sources": {**given, **sources}} if isinstance(given, Mapping) else plain

    @property
    def dram_achieved_bytes_per_s(self) -> float:
        """What kernels reach of the memory bandwidth."""
        return self.dram_bytes_per_s * self.dram_achieved_ratio

    @property
    def clock_ratio(self) -> float:
        """The clock of SMs and L2 cache over the one that their rates stand for."""
        return self.sm_clock_mhz / self.boost_clock_mhz

    def digest(self) -> str:
        """Return the id of everything that decides what the device does: device id and build target."""
        return digest_id(self.model_dump(mode="json", exclude={"sources"}))


def _parted(content: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (the values alone, the sources by key) of entries written as {value, source}."""
    plain: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, entry in content.items():
        if isinstance(entry, Mapping) and set(entry) == {"value", "source"}:
            plain[key] = entry["value"]
            sources[f"{prefix}{key}"] = str(entry["source"])
        elif isinstance(entry, Mapping) and key == "peak_flop_per_s":
            plain[key], below = _parted(entry, f"{key}.")
            sources |= below
        else:
            plain[key] = entry
    return plain, sources
