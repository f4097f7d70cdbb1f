from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from srspace.images import (
    read_picture,
)
from tests.pictures import encoded


def test_decoding_warns_nobody(recwarn: pytest.WarningsRecorder):
    read_picture(encoded(Image.new("RGB", (4, 4)).convert("P"), transparency=bytes([128] * 256)))
    assert not recwarn.list


def test_warnings_are_back_after_decoding_in_several_threads():
    data = encoded(Image.new("RGB", (64, 64)).convert("P"), transparency=bytes([128] * 256))
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen, ThreadPoolExecutor(4) as executor:
        warnings.simplefilter("always")
        list(executor.map(lambda _: read_picture(data), range(64)))
        warnings.warn("still heard", stacklevel=1)
    assert [str(w.message) for w in seen] == ["still heard"] and warnings.filters == before
