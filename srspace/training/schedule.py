"""The learning rate over a training."""

from __future__ import annotations

import math

from srspace.config import TrainConfig

_MILESTONES = (0.5, 0.75, 0.9, 0.95)


def progress(config: TrainConfig, iteration: int, seconds: float) -> float:
    """Which share of a training is over, by iterations or by time, whichever is further on; at most 1.

    Args:
        config: its settings.
        iteration: updates done.
        seconds: time since it began or was resumed.
    """
    done = iteration / config.iterations
    if config.time_limit is not None:
        done = max(done, seconds / config.time_limit)
    return min(done, 1.0)


def learning_rate(config: TrainConfig, iteration: int, seconds: float) -> float:
    """The learning rate of the update that follows.

    Cosine annealing without restarts is from SGDR (Loshchilov and Hutter, 2017, arXiv 1608.03983); the steps are
    those of SRFlow (Lugmayr et al., 2020, arXiv 2006.14200).

    Args:
        config: settings of the training.
        iteration: updates done.
        seconds: time since it began or was resumed.
    """
    done = progress(config, iteration, seconds)
    if config.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * done))
    elif config.schedule == "steps":
        factor = 0.5 ** sum(done >= milestone for milestone in _MILESTONES)
    else:
        factor = 1.0
    warm = min(1.0, (iteration + 1) / max(1, config.warmup))
    return config.learning_rate * factor * warm
