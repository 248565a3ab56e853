"""Where a campaign runs: the runner, its device and the build target, looked up once."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cotenant.models.digest import digest_id
from cotenant.models.errors import UserError
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Device, Runner, TargetOnly
from cotenant.runners.registry import load


@dataclass(frozen=True)
class Placement:
    """A spec bound to a runner and one device of this machine."""

    runner: Runner
    device: Device
    target: str
    isolation: str
    quality: Quality
    _engine_ids: dict[EngineKey, str] = field(default_factory=dict, repr=False, compare=False)

    def engine_id(self, key: EngineKey) -> str:
        """Return the id an engine has or would have here; builds nothing."""
        if key not in self._engine_ids:
            self._engine_ids[key] = self.runner.engine_id(
                key.model, key.batch_size, key.precision, self.target, key.build_index
            )
        return self._engine_ids[key]

    def check_measures(self) -> None:
        """Refuse to measure where only building is possible; UserError before anything long begins."""
        if isinstance(self.device, TargetOnly):
            raise UserError(
                f"nothing can be measured on {self.device.name}, which is a build target: runner {self.runner.name} "
                "finds no GPU here; run `cotenant doctor` to see what is missing, or `cotenant build` to build only"
            )

    def check_distinct(self, keys: Iterable[EngineKey]) -> None:
        """Refuse two names for one engine, whose results could not be told apart; UserError names both."""
        known: dict[str, EngineKey] = {}
        for key in keys:
            other = known.setdefault(self.engine_id(key), key)
            if other != key:
                raise UserError(
                    f"{other.label} and {key.label} are the same network; name it once (beside itself: a self-pair)"
                )

    def experiment_id(self, cell_id: str, seed: int, keys: tuple[EngineKey, ...]) -> str:
        """Return the id of a cell placed here (design section 5)."""
        return digest_id([cell_id, seed, [self.engine_id(key) for key in keys], self.device.device_id])


def place(spec: CampaignSpec) -> Placement:
    """Look up runner, device and target of a spec; UserError for what this machine does not have."""
    runner = load(spec.runner)
    device = runner.device(spec.device)
    modes = runner.isolations()
    if spec.isolation is not None and spec.isolation not in modes:
        raise UserError(f"runner {spec.runner} has no isolation {spec.isolation!r}; it has: {', '.join(modes)}")
    isolation = spec.isolation or modes[0]
    quality = spec.quality.resolved(device.kind, device.sm_count)
    return Placement(runner, device, runner.target(device), isolation, quality)
