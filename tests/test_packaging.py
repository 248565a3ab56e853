"""What is installed is what lies in the folders, under one import name, beside whoever else is called `datasets`."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
NOT_INSTALLED = {"tests", "scripts", "docs", "requirements"}
LIGHT = ("cotenant.models", "cotenant.models.errors", "cotenant.runners", "cotenant.profiler", "cotenant.datasets")
HEAVY = ("numba", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "tensorrt", "torch", "transformers", "yaml")


def python_folders() -> set[str]:
    """Folders of the checkout that hold Python to be installed, as relative POSIX paths."""
    found = (path.parent.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/*.py"))
    return {folder.as_posix() for folder in found if folder.parts[0] not in {*NOT_INSTALLED, "build", "dist"}}


def installed_files() -> set[str]:
    """Paths that a wheel must hold: code, type markers, ready specs."""
    paths = (path for folder in python_folders() for path in (ROOT / folder).iterdir())
    return {f"cotenant/{p.relative_to(ROOT).as_posix()}" for p in paths if p.suffix in {".py", ".yaml", ".typed"}}


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_folder_is_listed_and_linked() -> None:
    folders = python_folders()
    assert {"models", "runners", "profiler", "datasets"} <= folders
    assert set(SETUPTOOLS["packages"]) == {"cotenant." + folder.replace("/", ".") for folder in folders}
    assert SETUPTOOLS["package-dir"] == {"cotenant." + folder.replace("/", "."): folder for folder in folders}
    links = {link.name: link.resolve() for link in (ROOT / ".links" / "cotenant").iterdir()}
    assert links == {folder: ROOT / folder for folder in folders if "/" not in folder}


def test_every_folder_tells_type_checkers_that_it_is_typed() -> None:
    assert [folder for folder in sorted(python_folders()) if not (ROOT / folder / "py.typed").is_file()] == []


def test_datasets_is_no_regular_package() -> None:
    assert list((ROOT / "datasets").rglob("__init__.py")) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built from a copy so that nothing is left in the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in [*{folder.split("/")[0] for folder in python_folders()}]:
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return build_wheel(source, place)


def build_wheel(source: Path, out: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def beside_datasets(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with another distribution named `datasets`, then ours; returns its Python."""
    place = tmp_path_factory.mktemp("beside")
    other = place / "other"
    (other / "datasets").mkdir(parents=True)
    (other / "datasets" / "__init__.py").write_text('WHOSE = "theirs"\n')
    (other / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "datasets"\nversion = "9.9"\n[tool.setuptools]\npackages = ["datasets"]\n'
    )
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv" / "bin" / "python"
    for distribution in (build_wheel(other, place), wheel):
        pip_into(python, "install", "--no-deps", "--no-index", distribution)
    return python


def pip_into(python: Path, *arguments: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--python", python, *arguments, "-q", cwd=python.parent)


def test_the_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == installed_files()
    assert "cotenant/profiler/campaign/specs/quickstart.yaml" in names


def test_it_imports_beside_another_datasets(beside_datasets: Path, tmp_path: Path) -> None:
    told = run(beside_datasets, "-c", f"import datasets, {', '.join(LIGHT)}; print(datasets.WHOSE)", cwd=tmp_path)
    assert told.strip() == "theirs"
    where = run(beside_datasets, "-c", "import cotenant.datasets as d; print(*d.__path__)", cwd=tmp_path)
    assert where.strip().endswith("site-packages/cotenant/datasets")


def test_datasets_from_the_checkout_is_not_our_folder(beside_datasets: Path) -> None:
    assert run(beside_datasets, "-c", "import datasets; print(datasets.WHOSE)", cwd=ROOT).strip() == "theirs"


def test_removing_it_leaves_the_other_datasets(beside_datasets: Path, wheel: Path, tmp_path: Path) -> None:
    pip_into(beside_datasets, "uninstall", "-y", "cotenant")
    try:
        assert run(beside_datasets, "-c", "import datasets; print(datasets.WHOSE)", cwd=tmp_path).strip() == "theirs"
    finally:
        pip_into(beside_datasets, "install", "--no-deps", "--no-index", wheel)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "--help"], ["colocate", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    """Stubs come first on the path: whoever imports one is told, even where the real package is not installed."""
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('help imports {name}')\n")
    told = run(sys.executable, "-m", "cotenant.profiler.cli.main", *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "cotenant" in told


def test_the_stubs_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise SystemExit('help imports pyarrow')\n")
    command = [sys.executable, "-c", "import pyarrow"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "help imports pyarrow" in done.stderr


def test_pinned_versions_are_exact_and_name_no_place() -> None:
    """oracles.txt may name a wheel index through pip's own settings, never by address."""
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for line in path.read_text().splitlines():
            line = line.split("#")[0].strip()
            assert not line or line.startswith("-r ") or "==" in line, f"{path.name}: {line}"
            assert "://" not in line, f"{path.name}: {line}"


def test_what_pyproject_asks_for_is_pinned() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements/run.txt").read_text().split()
    }
    asked = {dependency.split(">=")[0].lower().replace("_", "-") for dependency in PYPROJECT["project"]["dependencies"]}
    assert asked <= pinned
