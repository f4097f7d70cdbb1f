from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Literal

import pytest

import srspace.config
import srspace.training.settings
from srspace.errors import UsageError
from srspace.fields import build, documentation, fields_of

CONFIGS = [
    thing
    for module in (srspace.config, srspace.training.settings)
    for thing in vars(module).values()
    if is_dataclass(thing) and thing.__module__ == module.__name__
]


@dataclass(frozen=True)
class Toy:
    """A toy.

    Attributes:
        size: how large it is,
            in metres.
        colour: its colour.
        weights: of its parts.
        pair: two numbers.
        place: where it is.
        fixed: whether it stays [there].

    More about it.
    """

    size: float
    colour: Literal["red", "green"] = "red"
    weights: tuple[int, ...] = field(default=(1, 2))
    pair: tuple[float, float] = (0.0, 1.0)
    place: Path | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a size is positive")


def test_a_field_is_described_by_its_class():
    size, colour, weights, pair, place, fixed = fields_of(Toy).values()
    assert (size.kind, size.help, size.many) == (float, "how large it is, in metres.", False)
    assert colour.choices == ("red", "green") and colour.default == "red"
    assert weights.many and weights.count is None and weights.kind is int and weights.default == (1, 2)
    assert pair.many and pair.count == 2
    assert place.optional and place.kind is Path and place.default is None
    assert fixed.kind is bool and fixed.help == "whether it stays [there]."


def test_values_are_taken_as_files_give_them():
    toy = build(Toy, {"size": 3, "weights": [4, 5], "place": "a/b", "pair": [1, 2]})
    assert toy == Toy(3.0, weights=(4, 5), place=Path("a/b"), pair=(1.0, 2.0)) and isinstance(toy.size, float)
    assert build(Toy, {"size": 1, "place": None}).place is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "large"}, "size must be a number, not 'large'."),
        ({"size": True}, "size must be a number, not True."),
        ({"size": 1, "colour": "blue"}, "colour must be one of red, green, not 'blue'."),
        ({"size": 1, "weights": [1.5]}, "weights must be a whole number, not 1.5."),
        ({"size": 1, "pair": [1]}, "pair takes 2 values, not 1."),
        ({"size": 1, "fixed": 1}, "fixed must be true or false, not 1."),
        ({"size": 1, "shape": 1}, "there is no setting shape; there are colour, fixed, pair, place, size, weights."),
        ({"size": -1}, "a size is positive."),
    ],
)
def test_mistakes_are_one_sentence(values: dict[str, object], message: str):
    with pytest.raises(UsageError) as found:
        build(Toy, values)
    assert str(found.value) == message


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_of_a_configuration_is_documented(config: type):
    described = fields_of(config)
    assert described and set(documentation(config)) == set(described)
    assert all(found.help.endswith(".") for found in described.values())
