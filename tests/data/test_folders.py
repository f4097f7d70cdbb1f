from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srspace.data.folders import centre_crops, find_pictures, load_tiles
from srspace.errors import DataError
from srspace.resize import imresize
from tests.pictures import picture


def test_pictures_are_found_below_a_folder(tmp_path: Path):
    (tmp_path / "b").mkdir()
    for name in ("z.png", "b/a.JPG", "b/notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    assert find_pictures(tmp_path) == [tmp_path / "b" / "a.JPG", tmp_path / "z.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        find_pictures(tmp_path / "empty")
    with pytest.raises(DataError, match="is not a folder"):
        find_pictures(tmp_path / "z.png")


def test_deep_grey_and_turned_pictures_come_out_right(tmp_path: Path):
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    turned = np.zeros((64, 128, 3), np.uint8)
    turned[:, 64:] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(turned).save(tmp_path / "turned.png", exif=exif)
    grey, top, bottom = load_tiles(tmp_path, 64)
    assert (grey[0].float() - torch.from_numpy(deep / 257.0)).abs().max() <= 0.51
    assert torch.equal(grey[0], grey[2])
    assert top.max() == 0 and bottom.min() == 200


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, photograph, damage: str):
    photograph((64, 64)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    bad = tmp_path / "b.png"
    bad.write_bytes({"truncated": data[: len(data) // 2], "text": b"not a picture", "empty": b""}[damage])
    for read in (lambda: load_tiles(tmp_path, 32), lambda: centre_crops(tmp_path, side=32, scale=4)):
        with pytest.raises(DataError, match=r"b\.png") as found:
            read()
        assert str(found.value).count("\n") == 0


def test_crops_come_from_the_middle(tmp_path: Path, photograph):
    picture = photograph((100, 80))
    picture.save(tmp_path / "a.png")
    photograph((60, 80)).save(tmp_path / "small.png")
    hr, lr = centre_crops(tmp_path, side=64, scale=4)
    expected = torch.from_numpy(np.asarray(picture)[8:72, 18:82].copy()).permute(2, 0, 1)
    assert torch.equal((hr[0] * 255).round().byte(), expected) and len(hr) == 1
    assert torch.equal((lr[0] * 255).round().byte(), imresize(expected, 0.25))
    with pytest.raises(DataError, match="no picture of at least 128x128"):
        centre_crops(tmp_path, side=128, scale=4)


def test_some_of_the_pictures_are_the_same_ones_every_time(tmp_path: Path):
    for i in range(6):
        picture(tmp_path / f"{i}.png", (64, 64), seed=i)
    every = centre_crops(tmp_path, side=64, scale=4)[0]
    few, again = (centre_crops(tmp_path, side=64, scale=4, count=3)[0] for _ in range(2))
    assert torch.equal(few, again) and len(few) == 3
    places = [[torch.equal(one, other) for other in every].index(True) for one in few]
    assert len(set(places)) == 3 and places != [0, 1, 2]
    assert len(centre_crops(tmp_path, side=64, scale=4, count=9)[0]) == 6
