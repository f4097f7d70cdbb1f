from __future__ import annotations

import numpy as np
import pytest
import torch

from srspace.collapse import StackSink, mean, median


def filled(sink, stack: torch.Tensor):
    """The sink with a stack in parts, one of which comes late, as a replacement does."""
    first = stack[:2].clone()
    first[-1] = 0
    sink.add(list(range(len(first))), first)
    if len(stack) > 2:
        sink.add(list(range(2, len(stack))), stack[2:])
    sink.add([len(first) - 1], stack[len(first) - 1 : len(first)])
    return sink


@pytest.mark.parametrize("count", range(1, 8))
def test_mean_and_median_agree_with_numpy(count: int):
    stack = torch.rand(count, 3, 20, 11)
    given = stack.clone()
    average = filled(mean.make(count, None, None), stack).result()
    middle = filled(median.make(count, None, None), stack).result()
    assert np.allclose(average.numpy(), stack.numpy().mean(0), atol=1e-6)
    assert np.array_equal(middle.numpy(), np.median(stack.numpy(), axis=0))
    assert torch.equal(stack, given), "other sinks take the same candidates"


@pytest.mark.parametrize("count", [2, 3, 10, 25, 26, 33, 64, 100])
def test_the_median_network_finds_the_middle(count: int):
    stack = torch.rand(count, 3, 9, 5).round(decimals=1)  # with ties
    assert np.array_equal(median.median_of(stack).numpy(), np.median(stack.numpy(), axis=0))


def test_the_median_is_the_same_in_strips(monkeypatch: pytest.MonkeyPatch):
    stack = torch.rand(5, 3, 8, 9)
    monkeypatch.setattr(median, "_STRIP_BYTES", 4 * 5 * 3 * 9 * 3)
    assert np.array_equal(median.median_of(stack).numpy(), np.median(stack.numpy(), axis=0))


def test_nothing_cannot_be_merged():
    for sink in (mean.MeanSink(2), StackSink(2, median.median_of)):
        with pytest.raises(ValueError, match="no candidate"):
            sink.result()
