"""Training the network that assesses pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.checkpoints import load_assessor
from srspace.config import AssessorConfig
from srspace.data.degrade import Degradation, DegradeConfig, Record
from srspace.data.folders import Progress
from srspace.data.pools import Batches
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.models import Assessor
from srspace.models.statistics import SMALLEST, luma_chroma, statistics
from srspace.training.benefit import benefit, sharpness
from srspace.training.processes import divided
from srspace.training.settings import AssessorTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task

SCALE = 4

WEAK = DegradeConfig(
    scale=SCALE, clean=0, blur_kinds=(0.75, 0.19, 0.02, 0.02, 0.01, 0.01), blur_size=(0.3, 2.0), halftone=0,
    linear_light=0.15, camera=0.08, full_well=(4000, 40000), read_noise=(1, 4), kernels=(0.15, 0.15, 0.4, 0.1, 0.2),
    not_antialiased=0.05, shifted=0.1, two_steps=0.12, compressed_between=0.3, sharpen_early=0.03, sharpen=0.25,
    sharpen_late=0.02, sharpen_amount=(0.1, 1.5), noise=0.3, second_noise=0.03, noise_strength=(0.2, 5), old_photo=0,
    palette=0.01, jpeg=0.4, second_jpeg=0.04, webp=0.08, jpeg_quality=(70, 99), webp_quality=(70, 98),
)  # fmt: skip
"""Damage near the line between the families."""

_AT_A_TIME = 32
_MOST = 0.05  # a benefit above it counts no more
_LEAST = 0.003  # weight of an image that both families serve alike
_MARGIN = 0.012  # the family for damaged pictures must be as much better: the other one never spoils a clean picture
_CLEAN_WEIGHT = 5.0  # of a mistake about a clean image, beside one as costly about another
_TINIEST = 8
_CODECS = {"jpeg": 88, "second_jpeg": 88, "webp": 85, "jpeg_between": 70}
_OTHER_NOISE = ("camera", "old_photo", "palette", "halftone")


class AssessorTask(Task):
    """What was done to an LR image, by examples of damage, weak damage and none.

    The line between the families is where :func:`~srspace.training.benefit.benefit` is 0.012. An image counts as much
    as a mistake about it costs. All images are made, and their statistics taken, before training starts: that takes
    minutes, and the network then learns in seconds.

    Each image is learned from in three ways, in turn: whole, as four quarters that are assessed as one picture, and
    by a crop of any size, mirrored if it is tiny, as tiny pictures are.

    Args:
        network: the network, on its device.
        batches: HR patches, on the same device; patches of 256 pixels give LR images as large as the crops that
            pictures are assessed by.
        config: the task's options.
        held_out: pairs to validate on.
        progress: told the share of the images that are made.

    Raises:
        UsageError: patches are too small.
    """

    network: Assessor

    def __init__(
        self,
        network: Assessor,
        batches: Batches,
        config: AssessorTaskConfig,
        *,
        held_out: Pairs | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._side = batches.patch // SCALE
        if self._side < SMALLEST:
            raise UsageError(f"a patch must be at least {SCALE * SMALLEST} pixels wide, not {batches.patch}.")
        self.network = network.requires_grad_(True)
        self.batches, self.config, self.held_out = batches, config, held_out
        self._progress = progress
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
        return cls(
            network.to(sources.device),
            sources.batches(SCALE),
            config,
            held_out=sources.pairs(SCALE),
            progress=sources.reporter("making examples"),
        )

    def start(self, *, resumed: bool) -> None:
        """Make the images, and take their statistics."""
        most = self.config.examples

        def make(k: int) -> tuple[Tensor, ...]:
            done = k * _AT_A_TIME
            made = self._examples(min(_AT_A_TIME, most - done))
            if self._progress is not None:
                self._progress(min(1.0, (done + _AT_A_TIME) / most))
            return made

        parts = divided(-(-most // _AT_A_TIME), make, self.batches.pool.device)
        *ways, self.targets = (torch.cat(part) for part in zip(*parts, strict=True))
        self.ways = tuple(ways)
        if not resumed and self.config.start is None:
            self.network.normalize(torch.cat([way.flatten(0, 1) for way in ways]))
        self._validation = self._held_out_examples()

    def prepare(self, iteration: int) -> Hashable:
        """Choose how images are looked at."""
        self.way = iteration % len(self.ways)
        return self.way

    def batch(self) -> tuple[Tensor, ...]:
        index = torch.randint(len(self.targets), (self.batches.size,), device=self.targets.device)
        return self.ways[self.way][index], self.targets[index]

    def loss(self, *batch: Tensor) -> Tensor:
        taken, targets = batch
        gain, compressed, noise, fine, coarse = targets.unbind(1)
        found = self.network.judge(taken)
        cost = gain.abs().clamp(max=_MOST) + _LEAST
        cost = torch.where(gain == -_MOST, _CLEAN_WEIGHT * cost, cost)
        decision = (cost * _cross_entropy(found.damaged, (gain > 0).float())).mean()
        codecs = _known(compressed, lambda x: _cross_entropy(found.compressed, x))
        strength = _known(noise, lambda x: F.smooth_l1_loss(found.noise, x, reduction="none"))
        bands = F.smooth_l1_loss(found.fine, fine) + 0.5 * F.smooth_l1_loss(found.coarse, coarse)
        return decision / cost.mean() + self.config.side_weight * (codecs + strength + bands)

    def validate(self) -> dict[str, float]:
        """Mistakes about clean and about damaged held-out images, and what choosing costs beside the best choice."""
        results = {name: self._judged(*example) for name, example in self._validation.items()}
        figures = {f"val_{name}_mistaken": wrong for name, (wrong, _) in results.items()}
        return figures and figures | {"val_cost": sum(cost for _, cost in results.values()) / len(results)}

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["val_cost"]

    def _judged(self, taken: Tensor, gain: Tensor) -> tuple[float, float]:
        """Share of the wrong decisions, and their mean cost."""
        wrong = (self.network.judge(taken).damaged > 0) != (gain > 0)
        return wrong.float().mean().item(), (wrong * gain.abs().clamp(max=_MOST)).mean().item()

    @torch.no_grad()
    def _held_out_examples(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Statistics and benefits of the held-out images, clean, weakly damaged and damaged."""
        if self.held_out is None:
            return {}
        hr, clean = self.held_out
        devices = [hr.device] if hr.device.type == "cuda" else []
        examples = {"clean": (statistics(clean * 255)[:, None], clean.new_full((len(clean),), -_MOST))}
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)
            for name, damage in zip(("weak", "damaged"), self._damages, strict=True):
                levels = (damage(hr) * 255).round()
                examples[name] = (statistics(levels)[:, None], benefit(levels, clean * 255) - _MARGIN)
        return examples

    @torch.no_grad()
    def _examples(self, count: int) -> tuple[Tensor, ...]:
        """Statistics ``(count, crops, COUNT)`` of images in three ways, and their targets."""
        levels, targets = self._drawn(count)
        half = max(SMALLEST, self._side // 2)
        starts = (0, self._side - half)
        quarters = [levels[..., y : y + half, x : x + half] for y in starts for x in starts]
        side = int(torch.randint(_TINIEST, self._side, ()))
        top, left = torch.randint(self._side - side + 1, (2,)).tolist()
        crop = levels[..., top : top + side, left : left + side]
        in_quarters = torch.stack([statistics(quarter) for quarter in quarters], 1)
        return statistics(levels)[:, None], in_quarters, statistics(_mirrored(crop))[:, None], targets

    def _drawn(self, count: int) -> tuple[Tensor, Tensor]:
        """Images ``(count, 3, h, w)`` of 8-bit levels, and what there is to say of them, ``(count, 5)``.

        NaN stands for what is not known.
        """
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
        grey = torch.rand(count, 1, 1, 1, device=hr.device) < self.config.grey_share
        levels, clean = (torch.where(grey, _greyed(x), x).round() for x in (torch.cat(images) * 255, clean * 255))
        gain = benefit(levels, clean) - _MARGIN
        gain[:untouched] = -_MOST  # the line must be clear of what is clean
        factors = sharpness(levels, clean)[0].clamp(-1.2, 1.2)
        return levels, torch.cat([gain[:, None], torch.cat(known), factors], 1)


def _greyed(levels: Tensor) -> Tensor:
    return luma_chroma(levels)[:, :1].expand_as(levels)


def _mirrored(levels: Tensor) -> Tensor:
    """A square that is too small for statistics, continued by its mirror images, as :mod:`srspace.assessment` does."""
    side = levels.shape[-1]
    steps = torch.arange(max(side, SMALLEST), device=levels.device) % (2 * side)
    index = torch.minimum(steps, 2 * side - 1 - steps)
    return levels[..., index[:, None], index]


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
