from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from srspace.report.page.pictures import BYTES_PER_PAGE, LOSSLESS, data_uri, encoded, webp


def noisy(count: int, side: int = 64) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {f"p{k}": generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for k in range(count)}


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_what_fits_is_stored_without_loss():
    images = noisy(3)
    files, quality = encoded(images)
    assert quality == LOSSLESS and list(files) == list(images)
    assert all((np.asarray(opened(files[name])) == image).all() for name, image in images.items())


def test_grey_maps_keep_their_levels():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.asarray(opened(webp(levels)).convert("L")) == levels).all()


@pytest.mark.parametrize("share", [0.9, 0.4, 0.25])
def test_what_does_not_fit_is_stored_as_well_as_it_can_be(share: float):
    images = noisy(9)
    whole = sum(map(len, encoded(images)[0].values()))
    budget = round(share * whole)
    files, quality = encoded(images, budget=budget)
    assert quality < LOSSLESS and sum(map(len, files.values())) <= budget
    assert list(files) == list(images)


def test_a_page_of_a_megapixel_has_room_left_below_15_megabytes():
    assert BYTES_PER_PAGE * 4 / 3 < 14e6


def test_the_profile_is_kept():
    profile = b"not a real profile"
    assert opened(webp(noisy(1)["p0"], icc_profile=profile)).info["icc_profile"] == profile


def test_an_address_holds_its_file():
    assert base64.b64decode(data_uri(b"abc").removeprefix("data:image/webp;base64,")) == b"abc"
