from __future__ import annotations

import math
from dataclasses import replace

import pytest

from srspace.config import TrainConfig
from srspace.training.schedule import learning_rate

CONFIG = TrainConfig(iterations=1000, learning_rate=0.5, warmup=0)


def test_cosine_falls_from_the_first_rate_to_zero():
    assert learning_rate(CONFIG, 0, 0) == 0.5
    assert learning_rate(CONFIG, 250, 0) == pytest.approx(0.25 * (1 + math.cos(math.pi / 4)))
    assert learning_rate(CONFIG, 500, 0) == pytest.approx(0.25)
    assert learning_rate(CONFIG, 1000, 0) == pytest.approx(0, abs=1e-9)


def test_steps_halve_and_constant_stays():
    steps = replace(CONFIG, schedule="steps")
    rates = [learning_rate(steps, i, 0) for i in (0, 499, 500, 750, 900, 950, 999)]
    assert rates == [0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125]
    assert learning_rate(replace(CONFIG, schedule="constant"), 999, 0) == 0.5


def test_the_schedule_follows_time_where_that_is_further_on():
    limited = replace(CONFIG, time_limit=100)
    assert learning_rate(limited, 100, 50) == pytest.approx(learning_rate(CONFIG, 500, 0))
    assert learning_rate(limited, 500, 10) == pytest.approx(learning_rate(CONFIG, 500, 0))
    assert learning_rate(limited, 0, 1000) == pytest.approx(0, abs=1e-9)
    assert learning_rate(CONFIG, 100, 10**6) == learning_rate(CONFIG, 100, 0)


def test_the_rate_rises_while_it_warms_up():
    config = replace(CONFIG, schedule="constant", warmup=4)
    assert [learning_rate(config, i, 0) for i in range(5)] == [0.125, 0.25, 0.375, 0.5, 0.5]
