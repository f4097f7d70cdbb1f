"""The assessor in the box."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.assessment import assess
from srspace.assessment.assessor import WEIGHTS, reasons
from srspace.data.render import KINDS, render_tiles
from srspace.families import CLEAN, REAL
from srspace.hub import weights_root
from srspace.images import Picture
from srspace.models.assessor import Findings
from srspace.resize import imresize
from tests import documents

SMOOTH = [kind != "pixel art" for kind in KINDS]
"""Which kinds are no more jagged than a reduction; pixel art is as jagged as what nearest neighbours make."""


@pytest.fixture(scope="module")
def reduced() -> list[np.ndarray]:
    """Clean reductions, ``(128, 128, 3)`` uint8 each; none that is empty, which tells nothing of compression."""
    tiles = imresize(render_tiles(2 * len(KINDS), 512, seed=5), 0.25)
    drawn = [tile for tile, smooth in zip(tiles, 2 * SMOOTH, strict=True) if smooth and tile.float().std() > 1]
    return [tile.permute(1, 2, 0).numpy() for tile in drawn]


def picture(rgb: np.ndarray, bit_depth: int = 8) -> Picture:
    return Picture(rgb.astype(np.float32) / 255, bit_depth=bit_depth)


def photographs() -> list[np.ndarray]:
    names = ("otter", "parrot", "spices")
    return [np.asarray(Image.open(documents.ROOT / "examples" / f"{name}.png").convert("RGB")) for name in names]


def compressed(rgb: np.ndarray, form: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, form, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def test_clean_pictures_are_not_called_damaged(reduced: list[np.ndarray]):
    found = [assess(picture(rgb)) for rgb in reduced]
    assert {a.family for a in found} == {CLEAN.weights}, [a.score for a in found]
    assert all(a.score < 0.5 and a.reasons == () for a in found)
    assert {assess(picture(rgb)).family for rgb in photographs()} == {CLEAN.weights}


@pytest.mark.parametrize(("form", "quality"), [("JPEG", 30), ("JPEG", 60), ("WEBP", 40)])
def test_compression_is_found_whatever_the_file_is_called(reduced: list[np.ndarray], form: str, quality: int):
    pictures = photographs() if form == "WEBP" else [*photographs(), *reduced]
    found = [assess(picture(compressed(rgb, form, quality)[3:, 5:])) for rgb in pictures]
    assert {a.family for a in found} == {REAL.weights}, [a.score for a in found]
    assert all("lossy compression (JPEG or WebP)" in a.reasons for a in found)


def test_the_same_pixels_give_the_same_answer_at_any_depth(reduced: list[np.ndarray]):
    for rgb in (reduced[0], compressed(reduced[1], "JPEG", 50)):
        assert assess(picture(rgb)) == assess(picture(rgb, 16)) == assess(picture(rgb.copy()))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 700), (90, 90)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_empty_pictures_of_any_size_are_clean(size: tuple[int, int], value: float):
    found = assess(Picture(np.full((*size, 3), value, np.float32)))
    assert found.family == CLEAN.weights and 0 <= found.score < 0.5


def test_what_was_found_is_said_in_words():
    def words(**values: float) -> tuple[str, ...]:
        return reasons(Findings(**dict.fromkeys(Findings._fields, -0.1) | values))

    assert words() == ("weak traces of processing",)
    assert words(compressed=1.0, noise=2.0) == ("lossy compression (JPEG or WebP)", "noise of about 6/255")
    assert words(fine=-0.5) == ("soft: fine details are missing",)
    assert words(fine=0.5, coarse=-0.5) == ("jagged: reduced without antialiasing",)
    assert words(fine=0.5) == ("oversharpened",)


def test_it_is_small():
    assert sum(path.stat().st_size for path in Path(weights_root() / WEIGHTS).iterdir()) < 200_000
