"""Faults planted in counters, sensitivities and agreements: each check finds what it is there for."""

import re
import shutil
from pathlib import Path

import faults_of_counters
import pytest
from damaged_dataset import DamagedDataset
from planting import Fault
from profiled_campaign import profiled_campaign

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = profiled_campaign(tmp_path_factory.mktemp("profiled"))
    build_dataset(folder)
    return folder


def test_the_sound_dataset_is_sound(campaign: Path) -> None:
    assert check_dataset(campaign).findings == []


@pytest.mark.parametrize("fault", faults_of_counters.FAULTS, ids=str)
def test_a_fault_planted_in_counters_is_found(campaign: Path, tmp_path: Path, fault: Fault) -> None:
    for name in ("raw", "counters"):
        shutil.copytree(campaign / name, tmp_path / name)
    damaged = DamagedDataset(campaign / "dataset", tmp_path / "dataset")
    fault.plant(damaged)
    findings = damaged.check().findings
    said = [finding.message for finding in findings if finding.check == fault.check]
    assert any(re.search(fault.says, message) for message in said), findings
