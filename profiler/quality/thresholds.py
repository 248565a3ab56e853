"""Every threshold that decides whether a number is trusted: named, adjustable in a spec, stored with results."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LOOK_QUADS = (8, 16, 32)  # design section 6: looks at 8, 16 and 32 quads, alpha split over them
ALPHA = 0.05
HALF_WIDTH_MAX = {
    "gpu": 0.01,
    "simulated": 0.01,
    "cpu": 0.03,
}  # a shared CPU drifts by more than a GPU; design section 6
CANARY_DRIFT_MAX = {"gpu": 0.01, "simulated": 0.01, "cpu": 0.10}  # neighbouring CPU blocks differ; see decision 0008
GAIN_MIN_RATIO = 1.05  # design section 6: below it co-runners gained nothing by running together
SELF_TEST_MAX_RATIO = 1.5  # two half loads: 1 when concurrent, 2 when sliced; the middle decides
ENQUEUE_BOUND_MAX_RATIO = 0.05  # of the executions that count: lanes that run dry more often measure the host
BLOCK_S = 0.1
BLOCK_EXECUTIONS_MIN = 5  # a median needs a few
# Lead-ins by what a shared 2-core CPU showed (decision 0009): first executions of 5 ms to 13 ms took 1.28, 1.20, 1.12,
# 1.05 and 1.02 times as long after a pause of up to 100 ms, and of 11 ms 1.17, 1.09, 1.06, 1.04, 1.02 after a load.
LEAD_IN_S, LEAD_IN_EXECUTIONS = 0.05, 5
SETTLE_S, SETTLE_EXECUTIONS = 0.15, 15
REST_S = 0.02  # before each burst: longer than any lane waits for the others of one
HANG_S = 60.0
COALESCE_NS = 20_000  # design section 5

# What the device does meanwhile: telemetry and the gates that follow from it (decision 0020).
TELEMETRY_MIN_S = 0.01
TELEMETRY_S = 0.5  # sparse: polling a driver often is known to cause latency spikes (NVIDIA/TensorRT issue 3090)
# nvmlClocksEventReasons of nvml.h that slow work down: software power cap 0x4, hardware slowdown 0x8, software thermal
# 0x20, hardware thermal 0x40, power brake 0x80. Idle (0x1) and application clocks (0x2) are no throttling.
THROTTLE_MASK = 0xEC
SYNC_BOOST = 0x10  # held to the clocks of other GPUs of its group; counted where `sync_boost_throttles` says so
THERMAL_MASK = 0x60  # of the reasons, those that cooling down ends
# A choice: well below the drop of a GPU that throttles (a B200 fell from 1965 to 1580 MHz, flashinfer PR 2899). More is
# allowed to a processor, whose clock is governed by its load.
CLOCK_DROP_MAX_RATIO = {"gpu": 0.05, "simulated": 0.05, "cpu": 0.10}
TEMPERATURE_MARGIN_MIN_C = 5.0  # below the temperature at which the driver slows down; a choice
COOL_DOWN_S = 60.0  # a pause that nothing ends is worse than marked rows (NVIDIA/nsight-python issue 35: 300 s)
IDLE_UTILIZATION_MAX_PCT = 5.0  # a choice, not measured: what is idle may still draw a screen or be monitored
FOREIGN_CORES_MAX = 0.25  # of one core, a choice: a program that computes takes a whole one
FOREIGN_CPU_MAX_PCT = 10.0  # where the number of cores is not known
STEAL_MAX_PCT = 1.0  # of all cores' time, a choice: a guest that nobody crowds has nothing stolen


class Quality(BaseModel):
    """Thresholds of one campaign; None takes the default of the device kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look_quads: tuple[int, ...] = LOOK_QUADS
    alpha: float = Field(default=ALPHA, gt=0, lt=0.5)
    half_width_max_ratio: float | None = Field(default=None, gt=0, lt=1)
    canary_drift_max_ratio: float | None = Field(default=None, gt=0, lt=1)
    gain_min_ratio: float = Field(default=GAIN_MIN_RATIO, ge=1)
    enqueue_bound_max_ratio: float = Field(default=ENQUEUE_BOUND_MAX_RATIO, ge=0, le=1)
    self_test_max_ratio: float = Field(default=SELF_TEST_MAX_RATIO, gt=1, lt=2)
    block_s: float = Field(default=BLOCK_S, gt=0, le=60)
    block_executions_min: int = Field(default=BLOCK_EXECUTIONS_MIN, ge=3, le=10_000)
    lead_in_s: float = Field(default=LEAD_IN_S, ge=0, le=60)
    lead_in_executions: int = Field(default=LEAD_IN_EXECUTIONS, ge=1, le=10_000)
    settle_s: float = Field(default=SETTLE_S, ge=0, le=60)
    settle_executions: int = Field(default=SETTLE_EXECUTIONS, ge=1, le=10_000)
    rest_s: float = Field(default=REST_S, ge=0, le=60)
    hang_s: float = Field(default=HANG_S, gt=0)
    coalesce_ns: int = Field(default=COALESCE_NS, ge=0)
    telemetry_s: float = Field(default=TELEMETRY_S, ge=0, le=3600)
    throttle_mask: int = Field(default=THROTTLE_MASK, ge=0, lt=1 << 63)
    sync_boost_throttles: bool = False
    clock_drop_max_ratio: float | None = Field(default=None, gt=0, lt=1)
    temperature_margin_min_c: float = Field(default=TEMPERATURE_MARGIN_MIN_C, ge=0, le=100)
    cool_down_s: float = Field(default=COOL_DOWN_S, ge=0, le=3600)
    idle_utilization_max_pct: float = Field(default=IDLE_UTILIZATION_MAX_PCT, ge=0, le=100)
    foreign_cpu_max_pct: float | None = Field(default=None, ge=0, le=100)
    steal_max_pct: float = Field(default=STEAL_MAX_PCT, ge=0, le=100)
    allow_busy: bool = False

    @field_validator("look_quads")
    @classmethod
    def _looks_rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if not looks or looks[0] < 2 or list(looks) != sorted(set(looks)):
            raise ValueError("must be rising numbers of quads, the first at least 2, e.g. [8, 16, 32]")
        return looks

    @field_validator("telemetry_s")
    @classmethod
    def _samples_are_sparse(cls, seconds: float) -> float:
        if 0 < seconds < TELEMETRY_MIN_S:
            raise ValueError(f"must be 0 (no telemetry) or at least {TELEMETRY_MIN_S:g}: denser samples disturb")
        return seconds

    @model_validator(mode="after")
    def _block_is_sane(self) -> Self:
        if self.hang_s <= self.block_s:
            raise ValueError("hang_s must be longer than block_s")
        return self

    def resolved(self, kind: str, core_count: int | None = None) -> "Quality":
        """Return the same thresholds with the device kind's defaults in place of None.

        Args:
            core_count: Of a processor: what counts as foreign load is a part of one core.
        """
        foreign_pct = self.foreign_cpu_max_pct
        if foreign_pct is None:
            known = kind == "cpu" and core_count is not None
            foreign_pct = round(100 * FOREIGN_CORES_MAX / (core_count or 1), 3) if known else FOREIGN_CPU_MAX_PCT
        return self.model_copy(
            update={
                "foreign_cpu_max_pct": foreign_pct,
                "clock_drop_max_ratio": self.clock_drop_max_ratio or CLOCK_DROP_MAX_RATIO[kind],
                "half_width_max_ratio": self.half_width_max_ratio or HALF_WIDTH_MAX[kind],
                "canary_drift_max_ratio": self.canary_drift_max_ratio or CANARY_DRIFT_MAX[kind],
            }
        )

    @property
    def bad_clock_reasons(self) -> int:
        """The bits of NVML's event reasons that count as throttling."""
        return self.throttle_mask | (SYNC_BOOST if self.sync_boost_throttles else 0)

    @property
    def look_alpha(self) -> float:
        """The error probability spent at each look (Bonferroni over the looks)."""
        return self.alpha / len(self.look_quads)

    def stored(self) -> dict[str, Any]:
        """Return what raw metadata keeps."""
        return self.model_dump(mode="json")
