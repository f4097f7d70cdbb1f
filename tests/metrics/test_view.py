from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from srspace.metrics import View, to_uint8


def test_rounding_is_that_of_a_written_file(tmp_path: Path):
    from srspace.images import Picture, read_picture, write_picture

    values = torch.linspace(-0.1, 1.1, 48 * 3).reshape(3, 6, 8)
    write_picture(Picture(values.permute(1, 2, 0).contiguous().numpy()), tmp_path / "a.png")
    written = np.round(read_picture(tmp_path / "a.png").rgb * 255).astype(np.uint8)
    assert np.array_equal(to_uint8(values).permute(1, 2, 0).numpy(), written)


def test_a_view_computes_each_thing_once():
    view, made = View.of(torch.full((3, 4, 5), 0.5)), []

    def make() -> int:
        made.append(1)
        return 7

    assert [view.once("a", make), view.once("a", make), view.once("b", make)] == [7, 7, 7] and len(made) == 2
    assert view.size == (4, 5) and view.uint8.unique().tolist() == [128]
    assert view.rgb.dtype == torch.float32 and view.exact.dtype == torch.float64
