"""Training the flow by exact likelihood on top of an encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srspace.config import TrainConfig
from srspace.data.patches import Pool
from srspace.metrics import Lpips
from srspace.models import SRFlow
from srspace.models.flow import ActNorm2d
from srspace.resize import imresize
from srspace.tf32 import exact_float32
from srspace.training.candidates import CandidateLoss, check_batches, in_range
from srspace.training.encoder import regression_loss
from srspace.training.loop import Loop, seed_process


def nll_loss(
    model: SRFlow,
    hr: Tensor,
    lr: Tensor,
    *,
    noise: float,
    train_encoder: bool = False,
    head_weight: float = 0.0,
    head_loss: Literal["l1", "l2"] = "l1",
    candidates: CandidateLoss | None = None,
) -> Tensor:
    """Mean negative log-likelihood in bits per HR pixel of noisy patches (Lugmayr et al., 2020).

    Args:
        model: the flow.
        hr: ``(B, 3, H, W)`` in [0, 1].
        lr: its LR version.
        noise: standard deviation of the Gaussian noise added to ``hr``, on the 0..255 scale.
        train_encoder: let gradients reach the encoder.
        head_weight: weight of the distance of the encoder's own output, which keeps it a good regression network
            while it is trained along.
        head_loss: that distance (see :func:`srspace.training.encoder.regression_loss`).
        candidates: a further loss, of candidates of the same patches.
    """
    noisy = hr + torch.randn_like(hr) * (noise / 255)
    with torch.set_grad_enabled(train_encoder and torch.is_grad_enabled()):
        features = model.features(lr)
    conditions = model.conditions(features)
    _, log_likelihood = model.log_likelihood(noisy, conditions)
    loss = -log_likelihood.mean() / (math.log(2) * hr.shape[2] * hr.shape[3])
    if candidates is not None:
        loss = loss + candidates(model.flow, conditions, hr)
    if train_encoder and head_weight:
        loss = loss + head_weight * regression_loss(model.encoder.head(features), hr, head_loss)
    return loss


@exact_float32()
def train_flow(
    model: SRFlow,
    pool: Pool,
    config: TrainConfig,
    out_dir: Path,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    train_encoder: bool = False,
    head_weight: float = 0.0,
    head_loss: Literal["l1", "l2"] = "l1",
    encoder_rate: float = 1.0,
    candidates: CandidateLoss | None = None,
    initialize: bool = False,
    amp: bool = True,
    compile: bool = False,
    graph: bool = True,
    resume: bool = True,
    extra: Mapping[str, Any] | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train a flow; the folder ends up with its averaged weights.

    Args:
        model: the flow, on the device where it is to be trained.
        pool: training pairs on the same device.
        config: settings; ``noise`` applies here.
        out_dir: run folder (resumed from when it holds a state and ``resume``).
        validation: HR and LR crops, ``(B, 3, H, W)``.
        train_encoder: train the encoder along.
        head_weight: see :func:`nll_loss`.
        head_loss: likewise.
        encoder_rate: factor on the encoder's learning rate.
        candidates: a further loss, for a flow that has been trained by likelihood alone before.
        initialize: set the actnorms from the first batch (for a flow that starts from nothing).
        amp: run subnets and encoder in bfloat16; the flow's affine arithmetic stays float32.
        compile: use ``torch.compile``.
        graph: replay steps as a CUDA graph where the device is a GPU.
        resume: go on from the folder's state.
        extra: further entries for ``config.json``.
        report: called with every log record.

    Returns:
        The last log record.

    Raises:
        UsageError: patches or batches are too small for ``candidates``.
    """
    if candidates is not None:
        check_batches(config)
    seed_process(config.seed)
    device = pool.device
    model.train().requires_grad_(True)
    model.encoder.requires_grad_(train_encoder)

    def loss_of(hr: Tensor, lr: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            return nll_loss(
                model, hr, lr, noise=config.noise,
                train_encoder=train_encoder, head_weight=head_weight, head_loss=head_loss, candidates=candidates,
            )  # fmt: skip

    step = torch.compile(loss_of) if compile else loss_of

    def loss() -> Tensor:
        return step(*pool.draw(config.batch_size, config.patch))

    def validate(network: nn.Module) -> dict[str, float]:
        if validation is None or not isinstance(network, SRFlow):
            return {}
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            critics = () if candidates is None else candidates.critics
            return validation_figures(network, *validation, noise=config.noise, critics=critics)

    def score(figures: Mapping[str, float]) -> float:
        return figures["val_nll"] + (0.0 if candidates is None else candidates.score(figures))

    loop = Loop(
        model,
        loss,
        config,
        out_dir,
        validate=validate,
        score=score,
        extra=extra,
        report=report,
        graph=graph,
        rates={"encoder.": encoder_rate},
    )
    if not (resume and loop.resume()) and initialize:
        for module in model.modules():
            if isinstance(module, ActNorm2d):
                module.initialize_on_next_forward = True
        with torch.no_grad():
            loss_of(*pool.draw(config.batch_size, config.patch))
    return loop.run()


@torch.no_grad()
def validation_figures(
    model: SRFlow,
    hr: Tensor,
    lr: Tensor,
    *,
    noise: float,
    temperature: float = 0.9,
    samples: int = 8,
    critics: Sequence[Lpips] = (),
) -> dict[str, float]:
    """Held-out nll, and PSNR, LR-PSNR, LPIPS and share of exploded candidates at a temperature (RGB, in dB)."""
    features = model.features(lr)
    conditions = model.conditions(features)
    generator = torch.Generator().manual_seed(0)
    noisy = hr + torch.randn(hr.shape, generator=generator).to(hr) * (noise / 255)
    _, log_likelihood = model.log_likelihood(noisy, conditions)
    nll = -log_likelihood / (math.log(2) * hr.shape[2] * hr.shape[3])
    shapes = model.flow.latent_shapes(*hr.shape[2:])
    total, single, consistency, exploded = torch.zeros_like(hr), 0.0, 0.0, 0.0
    distances = dict.fromkeys((critic.net for critic in critics), 0.0)
    for _ in range(samples):
        latents = [torch.randn(hr.shape[0], *s, generator=generator).to(hr) * temperature for s in shapes]
        sr = model.flow.inverse(latents, conditions)
        exploded += (~in_range(sr, -2, 2)).float().mean().item() / samples
        sr = sr.nan_to_num(0.5).clamp(0, 1)
        single += _psnr(sr, hr) / samples
        consistency += _psnr(imresize(sr, 1 / model.scale), lr) / samples
        total += sr / samples
        for critic in critics:
            with torch.autocast(hr.device.type, enabled=False):
                distances[critic.net] += critic(sr, hr).mean().item() / samples
    return {
        "val_nll": nll.mean().item(),
        "val_psnr_sample": single,
        "val_psnr_mean": _psnr(total, hr),
        "val_psnr_rrdb": _psnr(model.encoder.head(features).clamp(0, 1), hr),
        "val_lr_psnr": consistency,
        "val_exploded": exploded,
        **{f"val_{net}_sample": distance for net, distance in distances.items()},
    }


def _psnr(a: Tensor, b: Tensor) -> float:
    return (-10 * (a - b).square().flatten(1).mean(1).clamp_min(1e-12).log10()).mean().item()
