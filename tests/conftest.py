from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Networks as small as these ones are many times slower with several threads on a busy machine, in processes that tests
# start as well.
os.environ["OMP_NUM_THREADS"] = "1"
# Where no bytecode is kept, every process that tests start compiles all of srspace, and every run all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
import torch

from srspace.checkpoints import save_model
from srspace.config import DialConfig, FlowConfig, FusionConfig, RRDBConfig
from srspace.errors import DataError
from srspace.metrics import Lpips
from srspace.models import DialFusion, FusionNet, SRFlow
from srspace.sampling import defects

torch.set_num_threads(1)

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


def small_flow(scale: int = 4, seed: int = 0) -> SRFlow:
    """A flow with random, non-zero weights everywhere."""
    torch.manual_seed(seed)
    levels = scale.bit_length() - 1
    model = SRFlow(
        RRDBConfig(scale=scale, nf=8, gc=4, nb=3),
        FlowConfig(scale=scale, levels=levels, steps=2, hidden_channels=8, stack_blocks=(0, 2)),
    )
    with torch.no_grad():
        for name, parameter in model.flow.named_parameters():
            if not name.endswith("invconv.weight"):
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval().requires_grad_(False)


def calm_flow(scale: int = 4, seed: int = 0) -> SRFlow:
    """A small flow whose candidates are near 0.5 + 0.05 z, so that those of nearly grey pictures are not broken."""
    model = small_flow(scale, seed)
    opening = model.flow.levels[0].transitions[0].actnorm
    with torch.no_grad():
        opening.bias.fill_(-0.5)
        opening.logs.fill_(3.0)
    return model


@pytest.fixture
def model() -> SRFlow:
    return small_flow()


@pytest.fixture
def accept_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights do not reproduce their input; only what is not finite counts as broken here."""
    monkeypatch.setattr(defects, "WORST_BLOCK", 10.0)
    monkeypatch.setattr(defects, "USABLE", defects.Range(-1e6, 1e6))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights small enough for any test: the folders ``x4``, ``x8``, ``fusion`` and ``dial``."""
    root = tmp_path_factory.mktemp("weights")
    for scale in (4, 8):
        save_model(root / f"x{scale}", calm_flow(scale))
    torch.manual_seed(0)
    networks = {
        "fusion": FusionNet(FusionConfig(samples=2, channels=4, blocks=0)),
        "dial": DialFusion(DialConfig(features=24, channels=4, blocks=1, embedding=4)),
    }
    for name, network in networks.items():
        torch.nn.init.normal_(network.tail.weight, std=0.05)
        save_model(root / name, network)
    return root


@pytest.fixture(scope="session")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose encoder repeats every pixel: pictures change in nothing but their size."""
    flow = FlowConfig(steps=1, hidden_channels=4, stack_blocks=(0,))
    model = SRFlow(RRDBConfig(nf=3, gc=2, nb=1, skip="first"), flow)
    for name, parameter in model.encoder.named_parameters():
        if name.endswith("weight") and "trunk" not in name:
            torch.nn.init.dirac_(parameter)
        else:
            torch.nn.init.zeros_(parameter)
    folder = tmp_path_factory.mktemp("weights") / "repeating"
    save_model(folder, model)
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
    try:
        return Lpips("alex"), Lpips("squeeze")
    except DataError:
        pytest.skip("no LPIPS backbones in TORCH_HOME")
