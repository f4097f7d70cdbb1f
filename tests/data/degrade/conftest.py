from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def photographs() -> Tensor:
    """Three photographs, ``(3, 3, 320, 448)``, in [0, 1]."""
    return torch.stack([from_pillow(Image.open(path)) for path in sorted(EXAMPLES.glob("*_HR.png"))])


@pytest.fixture(scope="session")
def small(photographs: Tensor) -> Tensor:
    """The same, reduced by 4: the sizes that damage is done at."""
    return (torch.nn.functional.avg_pool2d(photographs, 4) * 255).round() / 255


def from_pillow(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def through_codec(images: Tensor, codec: str, **options: object) -> Tensor:
    """The images after compression by Pillow."""
    decoded = []
    for image in images:
        file = io.BytesIO()
        levels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(levels).save(file, codec, **options)
        decoded.append(from_pillow(Image.open(file)))
    return torch.stack(decoded)


def likeness(first: Tensor, second: Tensor) -> float:
    """Cosine of the angle between two errors."""
    return (first.flatten() @ second.flatten() / (first.norm() * second.norm())).item()
