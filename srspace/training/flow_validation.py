"""Figures of a flow on held-out pairs: its likelihood, and what its candidates look like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from srspace.metrics import Lpips, psnr
from srspace.models import PreparedSRFlow, SRFlow
from srspace.resize import imresize
from srspace.sampling.defects import USABLE
from srspace.training.losses import bits_per_pixel

_AT_A_TIME = 8
_TEMPERATURE = 0.9
_SAMPLES = 8
_HIGHEST_PSNR = 120.0  # of equal images, so that a mean stays finite


@torch.no_grad()
def validate_flow(
    model: SRFlow, hr: Tensor, lr: Tensor, *, noise: float, critics: Sequence[Lpips] = ()
) -> dict[str, float]:
    """Figures of held-out pairs: 8 candidates of each at tau 0.9, always of the same latents.

    Args:
        model: the flow, on the pairs' device.
        hr: ``(B, 3, H, W)`` in [0, 1].
        lr: its LR version.
        noise: standard deviation of the noise added to ``hr`` for the nll, on the 0..255 scale.
        critics: backbones for the LPIPS of candidates.

    Returns:
        ``val_nll`` in bits per pixel; ``val_psnr_sample``, ``val_psnr_mean`` and ``val_psnr_rrdb``, the PSNR of a
        candidate, of the mean of all and of the encoder's own output, and ``val_lr_psnr``, in dB (RGB);
        ``val_exploded``, the share of broken candidates; ``val_<backbone>_sample``, the LPIPS of a candidate.
    """
    # What users get: one inverse, with subnets in the precision of the weights.
    prepared = PreparedSRFlow(model)
    generator = torch.Generator().manual_seed(0)
    figures: dict[str, list[Tensor]] = defaultdict(list)
    for large, small in zip(hr.split(_AT_A_TIME), lr.split(_AT_A_TIME), strict=True):
        noisy = large + _normal(large.shape, generator, large) * (noise / 255)
        features = model.features(small)
        _, log_likelihood = model.log_likelihood(noisy, model.conditions(features))
        figures["val_nll"].append(bits_per_pixel(log_likelihood, large))
        figures["val_psnr_rrdb"].append(_psnr(model.encoder.head(features).clamp(0, 1), large))
        conditions = prepared.conditions(prepared.features(small))
        shapes = prepared.latent_shapes(*large.shape[2:])
        total = torch.zeros_like(large)
        for _ in range(_SAMPLES):
            latents = [_TEMPERATURE * _normal((len(large), *shape), generator, large) for shape in shapes]
            sr = prepared.decode(latents, conditions)
            figures["val_exploded"].append((~USABLE.holds(sr)).float().flatten())
            sr = sr.nan_to_num(0.5).clamp(0, 1)
            total += sr / _SAMPLES
            figures["val_psnr_sample"].append(_psnr(sr, large))
            figures["val_lr_psnr"].append(_psnr(imresize(sr, 1 / model.scale), small))
            for critic in critics:
                figures[f"val_{critic.net}_sample"].append(critic(sr, large))
        figures["val_psnr_mean"].append(_psnr(total, large))
    return {name: torch.cat(values).mean().item() for name, values in figures.items()}


def _normal(shape: Sequence[int], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator).to(like)


def _psnr(sr: Tensor, hr: Tensor) -> Tensor:
    return psnr(sr, hr).clamp(max=_HIGHEST_PSNR)
