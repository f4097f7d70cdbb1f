from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from srspace.checkpoints import save_model
from srspace.config import FlowConfig, FusionConfig, RRDBConfig
from srspace.models import FusionNet, SRFlow

# Networks as small as these ones are many times slower with several threads on a busy machine.
torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"
if "TORCH_HOME" not in os.environ and (SHARED / "torch-home").is_dir():
    os.environ["TORCH_HOME"] = str(SHARED / "torch-home")


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


@pytest.fixture
def model() -> SRFlow:
    return small_flow()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights small enough for any test: ``x4``, ``x8`` and the network ``fusion``."""
    root = tmp_path_factory.mktemp("weights")
    for scale in (4, 8):
        save_model(root / f"x{scale}", small_flow(scale))
    save_model(root / "fusion", FusionNet(FusionConfig(samples=2, channels=4, blocks=0)))
    return root


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
