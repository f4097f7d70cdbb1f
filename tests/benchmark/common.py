"""What the benchmark's tests share: small pictures, settings, scores without costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from srspace.benchmark import Results, Settings, parse_rows
from srspace.errors import MetricUnavailableError
from srspace.metrics import Lpips

EXAMPLES = Path(__file__).parents[2] / "examples"


def crop_examples(folder: Path, count: int = 2, size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(EXAMPLES / "parrot_HR.png") as image:
        for i in range(count):
            left, top = 40 + 50 * i, 60 + 20 * i
            image.convert("RGB").crop((left, top, left + size[0], top + size[1])).save(folder / f"p{i}.png")
    return folder


def grey_examples(folder: Path, count: int = 2, size: tuple[int, int] = (64, 48)) -> Path:
    """Such pictures, but nearly grey, so that no candidate of the small networks is taken for broken."""
    for path in crop_examples(folder, count, size).iterdir():
        with Image.open(path) as image:
            pixels = 127.5 + (np.asarray(image) - 127.5) / 5
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def settings(rows: str, metrics: str = "psnr,ssim,lr-psnr", **changes: Any) -> Settings:
    chosen = tuple(parse_rows(rows, temperature=0.9, scored=10))
    options = {"device": "cpu", "precision": "fp32"} | changes
    return Settings(rows=chosen, metrics=tuple(metrics.split(",")), **options)


def values(results: Results) -> dict[tuple[str, str], dict[str, float]]:
    """Scores without the costs, which differ from run to run."""
    return {
        (r.row, r.image): {k: v for k, v in r.values.items() if k not in ("seconds", "memory")} for r in results.records
    }


def need_lpips() -> Lpips:
    try:
        return Lpips("alex")
    except MetricUnavailableError:
        pytest.skip("no LPIPS backbone in TORCH_HOME")


def uint8(image: torch.Tensor) -> np.ndarray:
    return np.floor(image.clamp(0, 1).permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)


def known_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second that a CPU is said to do, instead of measuring them."""
    return {("cpu", torch.float32): 1e11, ("cpu", torch.bfloat16): 2e11}[device.type, dtype]
