"""What a training consists of: a network, batches, a loss, and what validates it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

from torch import Tensor, nn


class Task(ABC):
    """One kind of training. The :class:`~srspace.training.loop.Loop` owns everything else.

    :meth:`batch` and :meth:`loss` are recorded once as a CUDA graph and then replayed, so nothing in them may wait for
    the device (``.item()``, ``if tensor:``, boolean indexing), take random numbers from anywhere but torch, or depend
    on Python values that change between calls. What cannot obey goes into :meth:`prepare`.

    Attributes:
        network: what is trained and saved, on its device; parameters that do not require gradients stay as they are.
        rates: factors on the learning rate by name prefix of the parameters; the first that fits counts.
        extra: further entries for the saved ``config.json``.
    """

    network: nn.Module
    rates: Mapping[str, float] = {}
    extra: Mapping[str, Any] = {}

    def start(self, *, resumed: bool) -> None:  # noqa: B027 - most tasks have nothing to do here
        """Called once, before the first step.

        Args:
            resumed: whether the weights come from an interrupted run.
        """

    def prepare(self, iteration: int) -> Hashable:
        """Called before every update of the weights, outside of what is replayed.

        Args:
            iteration: number of the update, from 0.

        Returns:
            What kind of steps follow. Steps of one kind do the same work on tensors of the same sizes; each kind is
            recorded as a graph of its own.
        """
        return None

    @abstractmethod
    def batch(self) -> tuple[Tensor, ...]:
        """Draw a batch; runs in full precision."""

    @abstractmethod
    def loss(self, *batch: Tensor) -> Tensor:
        """The scalar to minimise, averaged over the batch; runs in mixed precision where the loop has it."""

    def validate(self) -> dict[str, float]:
        """Figures of the network, which holds the averaged weights meanwhile; empty where nothing is held out."""
        return {}

    def score(self, figures: Mapping[str, float]) -> float:
        """What the best weights have least of.

        Args:
            figures: as :meth:`validate` returned them, not empty.
        """
        raise NotImplementedError(f"{type(self).__name__} validates but does not say what is best")
