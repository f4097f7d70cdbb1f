from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Networks as small as these ones are many times slower with several threads on a busy machine, in processes that tests
# start as well.
os.environ["OMP_NUM_THREADS"] = "1"
# Where no bytecode is kept, every process that tests start compiles all of srspace, and every run all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

# Torch and what needs it are imported by fixtures: the process that hands tests out has no use for them.
if TYPE_CHECKING:
    from srspace.metrics import Lpips
    from srspace.models import SRFlow

SHARED = Path(__file__).parents[2] / "shared"
if "TORCH_HOME" not in os.environ and (SHARED / "torch-home").is_dir():
    os.environ["TORCH_HOME"] = str(SHARED / "torch-home")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; what is named on the command line runs in this one, and so do benchmarks."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return 2 if whole and not config.getoption("benchmark_enable") else 0


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture
def model() -> SRFlow:
    from tests.networks import small_flow

    return small_flow()


@pytest.fixture
def accept_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights do not reproduce their input; only what is not finite counts as broken here."""
    from srspace.sampling import defects

    monkeypatch.setattr(defects, "WORST_BLOCK", 10.0)
    monkeypatch.setattr(defects, "USABLE", defects.Range(-1e6, 1e6))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights small enough for any test: the folders ``x4``, ``x8``, ``fusion`` and ``dial``."""
    from tests.networks import write_tiny

    return write_tiny(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose encoder repeats every pixel: pictures change in nothing but their size."""
    from srspace.checkpoints import save_model
    from tests.networks import repeating_flow

    folder = tmp_path_factory.mktemp("weights") / "repeating"
    save_model(folder, repeating_flow())
    return folder


@pytest.fixture(scope="session")
def catalogue_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.catalogue import write_catalogue

    return write_catalogue(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture
def catalogue(catalogue_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The catalogue of :mod:`tests.catalogue` in place of the real one."""
    yield from replaced_catalogue(catalogue_folder, monkeypatch)


def replaced_catalogue(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from srspace.assessment import assessor

    monkeypatch.setattr("srspace.hub.weights_root", lambda: folder)
    assessor.load_assessor.cache_clear()
    yield folder
    assessor.load_assessor.cache_clear()


@pytest.fixture(scope="session")
def critics() -> tuple[Lpips, ...]:
    """LPIPS by two backbones; a test that needs it is left out where they are missing."""
    from srspace.errors import DataError
    from srspace.metrics import Lpips

    try:
        return Lpips("alex"), Lpips("squeeze")
    except DataError:
        pytest.skip("no LPIPS backbones in TORCH_HOME")
