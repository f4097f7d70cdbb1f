from __future__ import annotations

import pytest
import torch

from srspace.data.degrade import Damage
from srspace.data.degrade.damage import Choice, Flag, Integer, LogUniform, Mostly, Uniform, drawn

EVEN = torch.linspace(0, 1 - 2**-24, 2**16)


def test_ranges_are_filled():
    values = Uniform(3, 7)(EVEN)
    assert values.min() == 3 and values.max() == pytest.approx(7) and values.mean() == pytest.approx(5, abs=0.01)
    assert Uniform(3, 7, power=2)(EVEN).mean() == pytest.approx(3 + 4 / 3, abs=0.01)
    values = LogUniform(10, 1000)(EVEN)
    assert values.min() == pytest.approx(10) and values.max() == pytest.approx(1000, rel=1e-3)
    assert values.median() == pytest.approx(100, rel=0.01)
    counts = Integer(0, 15)(EVEN).bincount()
    assert len(counts) == 16 and (counts - 2**12).abs().max() <= 2


def test_choices_have_their_shares():
    assert Choice((1.0, 2.0, 1.0))(torch.tensor([0.0, 0.24, 0.25, 0.74, 0.75, 0.99])).tolist() == [0, 0, 1, 1, 2, 2]
    assert Choice((0.0, 1.0, 0.0))(EVEN).unique().tolist() == [1]
    assert Flag(0.3)(EVEN).float().mean() == pytest.approx(0.3, abs=1e-3)
    assert not Flag(0.0)(EVEN).any() and Flag(1.0)(EVEN).all()


def test_mostly_gives_its_value_and_otherwise_draws_the_whole_range():
    values = Mostly(-1, 0.4, Integer(0, 15))(EVEN)
    assert (values == -1).float().mean() == pytest.approx(0.4, abs=1e-3)
    counts = values[values >= 0].bincount()
    assert len(counts) == 16 and counts.min() > 0.99 * counts.max() - 2
    largest = [Mostly(-1, share / 100, Integer(0, 15))(EVEN[-1:]).item() for share in range(100)]
    assert set(largest) == {15}  # rounding goes no further
    assert (Mostly(2.0, 1.0, Uniform(5, 6))(EVEN) == 2).all()


def test_parameters_are_independent():
    ranges = {"a": Uniform(0, 1), "b": Uniform(0, 1)}
    numbers = torch.stack(list(drawn(ranges, 5000, torch.device("cpu")).values()))
    assert torch.corrcoef(numbers)[0, 1].abs() < 0.06


def test_given_parameters_are_fixed_and_the_others_drawn():
    seen: dict[str, torch.Tensor] = {}

    def look(images: torch.Tensor, **parameters: torch.Tensor) -> torch.Tensor:
        seen.update(parameters)
        return images

    look_at = Damage("look", look, {"a": Uniform(0, 1), "b": Integer(0, 9)})
    look_at(torch.zeros(20, 3, 4, 4), a=0.25)
    assert seen["a"].tolist() == [0.25] * 20 and seen["b"].dtype == torch.int64 and len(seen["b"].unique()) > 2
    with pytest.raises(TypeError, match="no parameter c; it has a, b"):
        look_at(torch.zeros(1, 3, 4, 4), c=1)
