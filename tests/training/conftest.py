from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from srspace.config import RRDBConfig, TrainConfig
from srspace.data.pools import PatchPool, load_pool
from srspace.metrics import Lpips
from srspace.models import RRDBNet, SRFlow
from srspace.training import dial, flow, fusion
from srspace.training.settings import Execution
from srspace.training.task import Task
from tests.networks import small_flow

EXACT = Execution(amp=False)
SHORT = TrainConfig(
    iterations=6, batch_size=2, patch=32, warmup=1, log_every=2, validate_every=3, save_every=3, learning_rate=1e-3
)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(3):
        coarse = rng.integers(40, 215, (12, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def pool(photos: Path) -> PatchPool:
    return load_pool(photos, scale=4, tile=64)


@pytest.fixture(scope="session", autouse=True)
def critics_are_loaded_once() -> Iterator[None]:
    """Every task would load the backbones of its own LPIPS, hundreds of megabytes each."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (dial, flow, fusion):
            patched.setattr(module, "Lpips", cache(Lpips))
        yield


def tiny_encoder(seed: int = 0) -> RRDBNet:
    torch.manual_seed(seed)
    return RRDBNet(RRDBConfig(nf=4, gc=2, nb=1))


def picture_flow() -> SRFlow:
    """A small flow that can be trained and whose candidates are in the range of pictures, 0.5 + 0.2 z."""
    model = small_flow().requires_grad_(True)
    with torch.no_grad():
        model.flow.levels[0].transitions[0].actnorm.bias.fill_(-0.5)
        model.flow.levels[0].transitions[0].actnorm.logs.fill_(1.6)
    return model


class ToyTask(Task):
    """A tiny encoder that is to put out random greys.

    Args:
        figures: what one validation after the other finds.
        spoil: makes of an update's number and a loss another loss.
    """

    def __init__(
        self,
        figures: Iterator[float] | None = None,
        spoil: Callable[[int, Tensor], Tensor] = lambda _, loss: loss,
    ) -> None:
        self.network = tiny_encoder()
        self.figures, self.spoil = figures, spoil

    def prepare(self, iteration: int) -> None:
        self.iteration = iteration

    def batch(self) -> tuple[Tensor, ...]:
        return torch.rand(2, 3, 4, 4), torch.rand(2, 1, 1, 1)

    def loss(self, *batch: Tensor) -> Tensor:
        lr, grey = batch
        return self.spoil(self.iteration, (self.network(lr) - grey).square().mean())

    def validate(self) -> dict[str, float]:
        return {} if self.figures is None else {"figure": next(self.figures)}

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["figure"]
