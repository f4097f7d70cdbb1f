"""Damage to a share of a batch, and a record of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from srspace.data.degrade.damage import Damage, Parameters, flags, per_image


@dataclass
class Record:
    """What was done to each image of a batch.

    Attributes:
        count: B.
        stages: by stage: ``applied`` ``(B,)`` boolean, and its parameters ``(B,)``, which mean nothing where
            ``applied`` is false. An image that is ``jagged`` or, failing that, left ``clean`` has met nothing else,
            whatever the other stages say.
    """

    count: int
    stages: dict[str, Parameters] = field(default_factory=dict)

    def add(self, stage: str, slots: Slots, parameters: Parameters) -> None:
        """Take down a stage; parameters are ``(n,)``, one for each of the slots."""
        self.stages[stage] = {
            name: values.new_zeros(self.count).index_copy(0, slots.index, values)
            for name, values in ({"applied": slots.applied} | parameters).items()
        }


@dataclass(frozen=True)
class Slots:
    """Images of a batch that a stage works on.

    Attributes:
        index: ``(n,)``, their places in the batch.
        applied: ``(n,)``, boolean: which of them keep what the stage makes of them.
    """

    index: Tensor
    applied: Tensor

    @classmethod
    def first(cls, order: Tensor, share: float) -> Slots:
        """The first images of an order, as many as the share needs; a fraction of an image is left to chance."""
        count = math.ceil(share * len(order) - 1e-9)
        return cls(order[:count], flags(share * len(order) / max(count, 1), count, order.device))

    def taken(self, images: Tensor) -> Tensor:
        """Their images, ``(n, 3, H, W)``."""
        return images.index_select(0, self.index)

    def put(self, images: Tensor, changed: Tensor) -> Tensor:
        """The batch with ``changed`` in place of those of them to which the stage applies."""
        part = torch.where(per_image(self.applied), changed, self.taken(images))
        return images.index_copy(0, self.index, part)

    def others(self, count: int) -> Slots:
        """A whole batch of ``count``, in which the stage applies where it does not apply here."""
        index = torch.arange(count, device=self.index.device)
        everywhere = torch.ones(count, dtype=torch.bool, device=self.index.device)
        return Slots(index, everywhere.index_copy(0, self.index, ~self.applied))

    def within(self, outer: Slots | None) -> Slots:
        """The same, for slots of what ``outer`` took, in places of the whole batch."""
        if outer is None:
            return self
        return Slots(outer.index[self.index], self.applied & outer.applied[self.index])


def random_order(count: int, device: torch.device) -> Tensor:
    """A permutation of ``count`` images."""
    return torch.rand(count, device=device).argsort()


def on_share(
    damage: Damage,
    images: Tensor,
    share: float,
    record: Record | None = None,
    *,
    stage: str | None = None,
    outer: Slots | None = None,
) -> Tensor:
    """Damage a share of the images, chosen at random.

    Args:
        damage: what to do.
        images: ``(B, 3, H, W)``.
        share: in [0, 1].
        record: takes down what is done.
        stage: its name there (default: the damage's).
        outer: the slots that ``images`` were taken from, where they are not the whole batch.
    """
    if share <= 0:
        return images
    slots = Slots.first(random_order(images.shape[0], images.device), share)
    return on_slots(damage, images, slots, record, stage=stage, outer=outer)


def on_slots(
    damage: Damage,
    images: Tensor,
    slots: Slots,
    record: Record | None = None,
    *,
    stage: str | None = None,
    outer: Slots | None = None,
) -> Tensor:
    """As :func:`on_share`, to the images of the given slots."""
    if not len(slots.index):
        return images
    parameters = damage.draw(len(slots.index), images.device)
    if record is not None:
        record.add(stage or damage.name, slots.within(outer), parameters)
    return slots.put(images, damage.apply(slots.taken(images), **parameters))
