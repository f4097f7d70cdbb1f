from __future__ import annotations

import pytest

from srspace.config import SamplingConfig, parse_memory
from srspace.errors import UsageError


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -1},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"samples": 0},
        {"seed": -1},
        {"tile": 3},
        {"batch_size": 0},
        {"max_memory": 0},
        {"latents": "mirrored"},
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]):
    with pytest.raises(UsageError):
        SamplingConfig(**setting)  # type: ignore[arg-type]


def test_memory_sizes_are_read():
    assert [parse_memory(t) for t in ("4G", "512m", "1.5 GiB", "2048KB", "100")] == [
        4 << 30, 512 << 20, 3 << 29, 2 << 20, 100,
    ]  # fmt: skip
    for text in ("", "G", "4X", "-1G", "0"):
        with pytest.raises(UsageError, match="memory size"):
            parse_memory(text)
