"""Training the fusion networks on candidates of fixed flows."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srspace.config import FusionConfig, TrainConfig
from srspace.data.patches import PatchPool, Pool, oriented
from srspace.errors import UsageError
from srspace.metrics import Lpips, psnr
from srspace.models import Fusion, SRFlow
from srspace.tf32 import exact_float32
from srspace.training.candidates import in_range
from srspace.training.loop import Loop, seed_process
from srspace.training.perceptual import SMALLEST, inner, perceptual_loss

LOSSES = ("l1", "lpips")

# A candidate that leaves it is broken.
_RANGE = (-1.5, 1.5)


@dataclass(frozen=True)
class CandidatePool:
    """Candidates drawn once from the flow and kept as uint8, so that fusion training does not wait for sampling.

    Attributes:
        candidates: ``(P, N, 3, S, S)`` uint8.
        hr: ``(P, 3, S, S)`` uint8.
    """

    candidates: Tensor
    hr: Tensor

    def __len__(self) -> int:
        return self.hr.shape[0]

    @classmethod
    def joined(cls, pools: Sequence[CandidatePool]) -> CandidatePool:
        """One pool of the patches of several, which have as many candidates."""
        return cls(torch.cat([p.candidates for p in pools]), torch.cat([p.hr for p in pools]))

    def replace(self, start: int, fresh: CandidatePool) -> None:
        """Overwrite the patches from ``start`` on (wrapping around) by fresh ones."""
        places = torch.arange(start, start + len(fresh), device=self.hr.device) % len(self)
        self.candidates[places], self.hr[places] = fresh.candidates, fresh.hr

    def draw(self, count: int, samples: int) -> tuple[Tensor, Tensor]:
        """A batch of stacks in random order, with random flips and rotations.

        Returns:
            ``(B, samples, 3, S, S)`` and ``(B, 3, S, S)``, float32 in [0, 1].
        """
        device = self.hr.device
        index = torch.randint(self.hr.shape[0], (count,), device=device)
        order = torch.rand(count, self.candidates.shape[1], device=device).argsort(1)[:, :samples]
        stacks, hr = self.candidates[index[:, None], order], self.hr[index]
        masks = [torch.rand(count, device=device) < 0.5 for _ in range(3)]
        return oriented(stacks, masks).float() / 255, oriented(hr, masks).float() / 255


@exact_float32()
@torch.no_grad()
def draw_candidates(
    model: SRFlow,
    pool: Pool,
    *,
    patches: int,
    samples: int,
    patch: int,
    temperatures: Sequence[float] = (0.9,),
    batch_size: int = 16,
    together: int = 5,
    in_order: bool = False,
    progress: Callable[[float], None] | None = None,
) -> CandidatePool:
    """Sample the flow on random patches; a broken candidate is drawn again at a lower temperature.

    Args:
        model: the flow, on the pool's device.
        pool: training pairs.
        patches: P, how many patches to draw.
        samples: N, candidates per patch.
        patch: side of an HR patch.
        temperatures: each batch uses one of them at random.
        batch_size: patches computed at a time.
        together: candidates of a patch decoded at a time (a GPU waits for its host otherwise).
        in_order: take the pool's tiles whole, one after the other, instead of random crops.
        progress: called with the share done.
    """
    stacks, originals = [], []
    done = 0
    while done < patches:
        count = min(batch_size, patches - done)
        if in_order and isinstance(pool, PatchPool):
            hr, lr = (x[done : done + count].float() / 255 for x in (pool.hr, pool.lr))
        else:
            hr, lr = pool.draw(count, patch)
        conditions = model.conditions(model.features(lr))
        shapes = model.flow.latent_shapes(patch, patch)
        temperature = temperatures[int(torch.randint(len(temperatures), (1,)))]
        candidates = []
        for first in range(0, samples, together):
            group = min(together, samples - first)
            repeated = conditions.select(torch.arange(count, device=hr.device).repeat(group))
            sr = hr.new_full((group * count, *hr.shape[1:]), torch.nan)
            for attempt in range(4):
                tau = temperature * 0.7**attempt
                latents = [torch.randn(group * count, *s, device=hr.device) * tau for s in shapes]
                sr = torch.where(in_range(sr, *_RANGE), sr, model.flow.inverse(latents, repeated))
                if in_range(sr, *_RANGE).all():
                    break
            rounded = (sr.nan_to_num(0.5).clamp(0, 1) * 255).round().to(torch.uint8)
            candidates += rounded.unflatten(0, (group, count)).unbind(0)
        stacks.append(torch.stack(candidates, 1))
        originals.append((hr * 255).round().to(torch.uint8))
        done += count
        if progress is not None:
            progress(done / patches)
    return CandidatePool(torch.cat(stacks), torch.cat(originals))


@exact_float32()
def train_fusion(
    network: Fusion,
    pool: CandidatePool,
    config: TrainConfig,
    out_dir: Path,
    *,
    loss: Literal["l1", "lpips"],
    backbones: Sequence[Literal["alex", "squeeze", "vgg"]] = ("alex",),
    pixel_weight: float = 0.0,
    validation: CandidatePool | None = None,
    judge: Literal["alex", "squeeze", "vgg"] | None = None,
    refresh: Callable[[], CandidatePool] | None = None,
    refresh_every: int = 10,
    amp: bool = True,
    resume: bool = True,
    extra: Mapping[str, Any] | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train a fusion network with L1 or LPIPS.

    Args:
        network: the network, on the pool's device.
        pool: candidates.
        config: settings (``noise`` and ``patch`` do not apply: the pool has its own patches).
        out_dir: run folder.
        loss: ``"l1"`` or ``"lpips"``.
        backbones: LPIPS backbones to train on; their distances are averaged. Each overlooks patterns of its own.
        pixel_weight: weight of an L1 term added to LPIPS.
        validation: held-out candidates.
        judge: a further LPIPS backbone to validate on beside the training ones.
        refresh: draws fresh patches, which replace the oldest of the pool, so that the network does not learn the
            pool by heart.
        refresh_every: iterations from one such replacement to the next.
        amp: run the network in bfloat16.
        resume: go on from the folder's state.
        extra: further entries for ``config.json``.
        report: called with every log record.

    Returns:
        The last log record.

    Raises:
        UsageError: the loss is unknown, the pool has fewer candidates than the network takes, or patches too small
            for LPIPS.
    """
    if loss not in LOSSES:
        raise UsageError(f"the loss must be one of {', '.join(LOSSES)}, not {loss!r}.")
    there, wanted = pool.candidates.shape[1], network.config.samples
    if wanted is not None and there < wanted:
        raise UsageError(f"the network takes {wanted} candidates, the pool has {there}.")
    side = pool.hr.shape[-1]
    if loss == "lpips" and side < SMALLEST:
        raise UsageError(f"a patch for LPIPS must be at least {SMALLEST} pixels wide, not {side}.")
    judged = wanted or min(there, FusionConfig.samples or there)
    seed_process(config.seed)
    device = pool.hr.device
    network.train().requires_grad_(True)
    judges = (judge,) if judge and validation is not None else ()
    nets = {*backbones, *judges} if loss == "lpips" or judges else set()
    critics = {net: Lpips(net).to(device) for net in sorted(nets)}
    distances = [critics[net] for net in backbones] if loss == "lpips" else []

    numbers = random.Random(config.seed)
    iteration, oldest = 0, 0

    def step() -> Tensor:
        nonlocal iteration, oldest
        iteration += 1
        if refresh is not None and iteration % refresh_every == 0:
            fresh = refresh()
            pool.replace(oldest, fresh)
            oldest = (oldest + len(fresh)) % len(pool)
        # A network for any number of candidates sees the usual one in half of the steps.
        samples = wanted or (judged if numbers.random() < 0.5 else numbers.randint(min(2, there), there))
        stacks, hr = pool.draw(config.batch_size, samples)
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            sr = network(stacks)
        sr, hr = inner(sr), inner(hr)
        pixel = (sr - hr).abs().mean()
        return perceptual_loss(sr, hr, distances) + pixel_weight * pixel if distances else pixel

    def validate(trained: nn.Module) -> dict[str, float]:
        if validation is None:
            return {}
        figures: dict[str, list[Tensor]] = {}
        for stack, hr in zip(validation.candidates.split(4), validation.hr.split(4), strict=True):
            stack, target = stack[:, :judged].float() / 255, hr.float() / 255
            fused = trained(stack).clamp(0, 1)
            for name, sr in (("fusion", fused), ("mean", stack.mean(1)), ("sample", stack[:, 0])):
                figures.setdefault(f"val_psnr_{name}", []).append(psnr(sr, target, y_only=True, border=4))
                for net, critic in critics.items():
                    figures.setdefault(f"val_{net}_{name}", []).append(critic(sr, target))
        return {key: torch.cat(values).mean().item() for key, values in figures.items()}

    def score(figures: Mapping[str, float]) -> float:
        if loss == "l1":
            return -figures["val_psnr_fusion"]
        return sum(figures[f"val_{net}_fusion"] for net in backbones)

    loop = Loop(
        network, step, config, out_dir, validate=validate, score=score,
        extra=extra, report=report, dtype=torch.float16,
    )  # fmt: skip
    if resume:
        loop.resume()
    return loop.run()
