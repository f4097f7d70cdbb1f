"""Training the network that assesses pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.checkpoints import load_assessor
from srspace.config import AssessorConfig
from srspace.data.degrade import Degradation, DegradeConfig, Record
from srspace.data.pools import Batches
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.models import Assessor
from srspace.training.benefit import benefit, sharpness
from srspace.training.settings import AssessorTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task

REFRESH_EVERY = 10
SCALE = 4
SIDES = (48, 32, 24)
"""Sides of the crops that are trained on, in turn; the last one is the smallest that the network takes."""

WEAK = DegradeConfig(
    scale=SCALE, clean=0, blur_kinds=(0.75, 0.19, 0.02, 0.02, 0.01, 0.01), blur_size=(0.3, 2.0), halftone=0,
    linear_light=0.15, camera=0.08, full_well=(4000, 40000), read_noise=(1, 4), kernels=(0.15, 0.15, 0.4, 0.1, 0.2),
    not_antialiased=0.05, shifted=0.1, two_steps=0.12, compressed_between=0.3, sharpen_early=0.03, sharpen=0.12,
    sharpen_late=0.02, sharpen_amount=(0.1, 0.8), noise=0.3, second_noise=0.03, noise_strength=(0.2, 5), old_photo=0,
    palette=0.01, jpeg=0.4, second_jpeg=0.04, webp=0.08, jpeg_quality=(70, 99), webp_quality=(70, 98),
)  # fmt: skip
"""Damage near the line between the families."""

_AT_A_TIME = 32
_MOST = 0.05  # a benefit above it counts no more
_LEAST = 0.003  # weight of an image that both families serve alike
_CODECS = {"jpeg": 88, "second_jpeg": 88, "webp": 85, "jpeg_between": 70}
_OTHER_NOISE = ("camera", "old_photo", "palette", "halftone")


class AssessorTask(Task):
    """What was done to an LR image, by examples of damage, weak damage and none.

    The line between the families is where :func:`~srspace.training.benefit.benefit` is 0. An image counts as much as a
    mistake about it costs. Images are damaged beforehand, and some are replaced every ten updates: on a CPU, damage
    takes longer than the network.

    Args:
        network: the network, on its device.
        batches: HR patches, on the same device; 192 pixels wide, four times the largest crops.
        config: the task's options.
        held_out: pairs to validate on.

    Raises:
        UsageError: patches are too small.
    """

    network: Assessor

    def __init__(
        self, network: Assessor, batches: Batches, config: AssessorTaskConfig, *, held_out: Pairs | None = None
    ) -> None:
        self._sides = [side for side in SIDES if side * SCALE <= batches.patch]
        if not self._sides:
            raise UsageError(f"a patch must be at least {SCALE * SIDES[-1]} pixels wide, not {batches.patch}.")
        self.network = network.requires_grad_(True)
        self.batches, self.config, self.held_out = batches, config, held_out
        self._damages = (Degradation(WEAK), Degradation(DegradeConfig(scale=SCALE, clean=0)))

    @classmethod
    def build(cls, config: AssessorTaskConfig, sizes: AssessorConfig, sources: Sources) -> AssessorTask:
        """The task that a configuration describes.

        Args:
            config: the task's own options.
            sizes: of a fresh network.
            sources: pictures and device.

        Raises:
            SRSpaceError: weights, pictures or options are missing or do not fit together.
        """
        network = load_assessor(resolve_weights(config.start)) if config.start else Assessor(sizes)
        return cls(network.to(sources.device), sources.batches(SCALE), config, held_out=sources.pairs(SCALE))

    def start(self, *, resumed: bool) -> None:
        """Damage the images that training begins with."""
        most = self.config.patches
        parts = [self._drawn(min(_AT_A_TIME, most - i)) for i in range(0, most, _AT_A_TIME)]
        self.images, self.targets = (torch.cat(part) for part in zip(*parts, strict=True))

    def prepare(self, iteration: int) -> Hashable:
        """Replace the oldest images now and then, and choose the side of the crops."""
        turn, refresh = iteration // REFRESH_EVERY, self.config.refresh
        if refresh and iteration % REFRESH_EVERY == 0 and iteration > 0:
            images, targets = self._drawn(refresh)
            places = (torch.arange(refresh, device=images.device) + turn * refresh) % len(self.images)
            self.images[places], self.targets[places] = images, targets
        self.side = self._sides[iteration % len(self._sides)]
        return self.side

    def batch(self) -> tuple[Tensor, ...]:
        device, count, largest = self.images.device, self.batches.size, self.images.shape[-1]
        index = torch.randint(len(self.images), (count,), device=device)
        top, left = torch.randint(largest - self.side + 1, (2, count), device=device)
        steps = torch.arange(self.side, device=device)
        rows, columns = (start[:, None] + steps for start in (top, left))
        channels = torch.arange(3, device=device)[None, :, None, None]
        crops = self.images[index[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]
        return crops.float(), self.targets[index]

    def loss(self, *batch: Tensor) -> Tensor:
        crops, targets = batch
        gain, compressed, noise, fine, coarse = targets.unbind(1)
        found = self.network(crops)
        cost = gain.abs().clamp(max=_MOST) + _LEAST
        decision = (cost * _cross_entropy(found.damaged, (gain > 0).float())).mean()
        codecs = _known(compressed, lambda x: _cross_entropy(found.compressed, x))
        strength = _known(noise, lambda x: F.smooth_l1_loss(found.noise, x, reduction="none"))
        bands = F.smooth_l1_loss(found.fine, fine) + 0.5 * F.smooth_l1_loss(found.coarse, coarse)
        return decision / cost.mean() + self.config.side_weight * (codecs + strength + bands)

    def validate(self) -> dict[str, float]:
        """Mistakes about clean and about damaged held-out images, and what choosing costs beside the best choice."""
        if self.held_out is None:
            return {}
        devices = [self.held_out[0].device] if self.held_out[0].device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)
            hr, clean = self.held_out
            results = [self._judged(clean * 255, torch.full((len(clean),), -_MOST, device=clean.device))]
            for damage in self._damages:
                lr = damage(hr)
                results.append(self._judged(lr * 255, benefit(lr * 255, clean * 255)))
        names = ("val_clean_mistaken", "val_weak_mistaken", "val_damaged_mistaken")
        figures = {name: wrong for name, (wrong, _) in zip(names, results, strict=True)}
        return figures | {"val_cost": sum(cost for _, cost in results) / len(results)}

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["val_cost"]

    def _judged(self, images: Tensor, gain: Tensor) -> tuple[float, float]:
        """Share of the wrong decisions, and their mean cost."""
        wrong = (self.network(images).damaged > 0) != (gain > 0)
        return wrong.float().mean().item(), (wrong * gain.abs().clamp(max=_MOST)).mean().item()

    @torch.no_grad()
    def _drawn(self, count: int) -> tuple[Tensor, Tensor]:
        """Images ``(count, 3, h, w)``, uint8, and what there is to say of them, ``(count, 5)``; NaN: not known."""
        hr, clean = self.batches.pool.draw(count, self.batches.patch)
        order = torch.randperm(count, device=hr.device)  # a pool gives one of its sources after the other
        hr, clean = hr[order], clean[order]
        untouched, weak = (round(count * share) for share in (self.config.clean_share, self.config.weak_share))
        images, known = [clean[:untouched]], [clean.new_zeros(untouched, 2)]
        for damage, part in zip(self._damages, hr[untouched:].split([weak, count - untouched - weak]), strict=True):
            if len(part):
                lr, record = damage.recorded(part)
                images.append(lr)
                known.append(torch.stack([_compressed(record), _noise(record)], 1))
        levels = (torch.cat(images) * 255).round()
        gain = benefit(levels, clean * 255)
        gain[:untouched] = -_MOST  # the line must be clear of what is clean
        factors = sharpness(levels, clean * 255)[0].clamp(-1.2, 1.2)
        return levels.to(torch.uint8), torch.cat([gain[:, None], torch.cat(known), factors], 1)


def _compressed(record: Record) -> Tensor:
    """``(B,)``: 1 where a codec has left traces, 0 where none was met; NaN where its traces may be too weak."""
    met = [record.stages[name] for name in _CODECS if name in record.stages]
    limits = [limit for name, limit in _CODECS.items() if name in record.stages]
    any_met = torch.stack([stage["applied"] for stage in met]).any(0)
    seen = torch.stack([s["applied"] & (s["quality"] <= limit) for s, limit in zip(met, limits, strict=True)]).any(0)
    return torch.where(seen, 1.0, torch.where(any_met, torch.nan, 0.0))


def _noise(record: Record) -> Tensor:
    """``(B,)``: log(1 + its standard deviation in levels); NaN where it is not known or was compressed away."""
    stages = record.stages
    drawn = [stages[name] for name in ("noise", "second_noise") if name in stages]
    variance = torch.stack([stage["applied"] * stage["strength"].square() for stage in drawn]).sum(0)
    unknown = torch.stack([stages[name]["applied"] for name in _OTHER_NOISE if name in stages]).any(0)
    if "jpeg" in stages:
        unknown = unknown | (stages["jpeg"]["applied"] & (stages["jpeg"]["quality"] < 60))
    return torch.where(unknown, torch.nan, torch.log1p(variance.sqrt()))


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _known(target: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean loss over the images of which the target is known, which need not be any."""
    known = ~target.isnan()
    return (loss(target.nan_to_num()) * known).sum() / known.sum().clamp(min=1)
