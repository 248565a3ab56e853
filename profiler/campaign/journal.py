"""The campaign folder, which is its own journal: what exists under its final name has happened."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cotenant.datasets import raw, raw_counters
from cotenant.datasets.raw_counters import COUNTERS
from cotenant.datasets.undone import UNREADABLE
from cotenant.models.atomic import remove_leftovers, write_atomic
from cotenant.models.errors import UserError
from cotenant.models.output_folder import made_folder
from cotenant.profiler.campaign.plan import Plan
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.campaign.yaml_text import read_yaml

FOLDERS = ("engines", "raw", "failed", COUNTERS)


class Journal:
    """Paths of one campaign folder and what is written there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = folder / "raw"
        self.failed = folder / "failed"
        self.engines = folder / "engines"

    @contextmanager
    def opened(self, spec: CampaignSpec) -> Iterator[None]:
        """Hold the folder for this process: make it, or check that it belongs to the same spec; clear leftovers.

        Raises:
            UserError: The folder belongs to another spec, is no campaign folder, or is in use.
        """
        self._check_owner(spec)
        for name in FOLDERS:
            made_folder(self.folder / name)
        with self._lock():
            for folder in (self.folder, self.failed, *self.engines.iterdir()):
                remove_leftovers(folder)
            raw.clean(self.raw)
            raw_counters.clean(self.folder / COUNTERS)
            if not (self.folder / "campaign.yaml").exists():
                text = yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True)
                write_atomic(self.folder / "campaign.yaml", text.encode())
            yield

    def _check_owner(self, spec: CampaignSpec) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file, not a folder; choose another --out")
        path = self.folder / "campaign.yaml"
        if not path.exists():
            strangers = [p.name for p in self.folder.glob("*") if p.name not in (*FOLDERS, ".lock")]
            if [name for name in strangers if not name.startswith(".tmp-")]:
                raise UserError(f"{self.folder} is not empty and no campaign folder; choose another --out")
            return
        if stored_spec(self.folder) != spec.resolved():
            raise UserError(
                f"{self.folder} belongs to another spec ({path.name} differs), or to another version of cotenant;"
                " choose another --out, or move that folder away"
            )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / ".lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                raise UserError(
                    f"{self.folder} is in use by another campaign run (pid {holder}); wait for it or stop it"
                ) from error
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    def write_plan(self, plan: Plan, spec: CampaignSpec) -> None:
        """Write plan.json."""
        self._write_json(self.folder / "plan.json", plan.stored(spec))

    def engine_folder(self, engine_id: str) -> Path:
        """Make and return the folder of an engine's files; its meta.json, written last, says that they are there."""
        return made_folder(self.engines / engine_id)

    def write_engine(self, meta: dict[str, Any]) -> None:
        """Keep an engine's metadata beside its files."""
        self._write_json(self.engine_folder(str(meta["engine_id"])) / "meta.json", meta)

    def write_failure(self, experiment_id: str, failure: dict[str, Any]) -> None:
        """Keep a failure as data, counting how often it happened."""
        path = self.failed / f"{experiment_id}.json"
        self._write_json(path, {**failure, "count": _failure_count(path) + 1})

    def forget_failure(self, experiment_id: str) -> None:
        """Remove the failure of an experiment that has succeeded since."""
        (self.failed / f"{experiment_id}.json").unlink(missing_ok=True)

    def _write_json(self, path: Path, content: dict[str, Any]) -> None:
        write_atomic(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def stored_spec(folder: Path) -> dict[str, Any]:
    """Return the resolved spec of a campaign folder as plain values; UserError if it cannot be read."""
    path = folder / "campaign.yaml"
    try:
        spec = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise UserError(f"{folder} is no campaign folder: it has no campaign.yaml") from error
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(_damaged(path)) from error
    if not isinstance(spec, dict) or "name" not in spec:
        raise UserError(_damaged(path))
    return spec


def _damaged(path: Path) -> str:
    return f"{path} is damaged: it holds no spec; restore it or choose another --out"


def stored_plan(folder: Path) -> dict[str, Any]:
    """Return plan.json of a campaign folder; UserError if it is missing or damaged."""
    path = folder / "plan.json"
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no plan.json; start it with `cotenant campaign run`") from error
    except (ValueError, RecursionError):
        plan = None
    cells = plan.get("cells") if isinstance(plan, dict) else None
    if not isinstance(plan, dict) or not isinstance(cells, list) or not all(map(_is_cell, cells)):
        raise UserError(f"{path} is damaged; `cotenant campaign run` writes it again")
    return plan


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and all(isinstance(cell.get(key), str) for key in ("cell_id", "kind"))
        and isinstance(cell.get("estimated_s"), int | float)
    )


def stored_failures(folder: Path) -> list[dict[str, Any]]:
    """Return every record in failed/; one that cannot be read says so in its `class` and names its file."""
    return [_failure(path) for path in sorted((folder / "failed").glob("*.json"))]


def _failure(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        found = {}
    unknown = {"kind": "experiment", "tenants": [path.stem], "class": UNREADABLE, "message": f"{UNREADABLE} {path}"}
    record = {"count": 1, **unknown, **found}
    whole = isinstance(record["tenants"], list) and isinstance(record["count"], int)
    return record if whole else {**record, "count": 1, **unknown}


def _failure_count(path: Path) -> int:
    """Return how often an experiment has failed before; a record that cannot be read counts for none."""
    try:
        return int(json.loads(path.read_bytes())["count"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return 0
