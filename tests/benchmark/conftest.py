from __future__ import annotations

from pathlib import Path

import pytest

from srspace.data.datasets import Dataset, open_dataset
from tests.benchmark.common import crop_examples


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    return open_dataset(str(crop_examples(tmp_path / "images")))
