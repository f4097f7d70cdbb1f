from __future__ import annotations

from pathlib import Path

import pytest

from srspace.errors import UsageError
from srspace.images import (
    format_named,
    format_of,
    is_picture_path,
)


def test_formats_are_found_by_name_and_by_suffix():
    assert [format_named(name) for name in ("PNG", "jpg", "tif", "avif")] == ["png", "jpeg", "tiff", "avif"]
    assert format_of(Path("x/A.JPEG")) == "jpeg"
    for name in ("bmp", "heic", "xyz", ""):
        with pytest.raises(UsageError, match="must be one of png, tiff, webp, jpeg, avif"):
            format_named(name)
    with pytest.raises(UsageError, match="names no format"):
        format_of(Path("a.bmp"))
    assert is_picture_path(Path("a.BMP")) and not is_picture_path(Path(".a.png")) and not is_picture_path(Path("a.txt"))
