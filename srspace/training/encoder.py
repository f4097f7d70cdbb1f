"""Training the RRDB encoder as a regression network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srspace.config import TrainConfig
from srspace.data.patches import Pool, oriented
from srspace.metrics import psnr
from srspace.models import RRDBNet
from srspace.tf32 import exact_float32
from srspace.training.loop import Loop, seed_process


def regression_loss(sr: Tensor, hr: Tensor, kind: Literal["l1", "l2"]) -> Tensor:
    """Mean absolute (``"l1"``) or mean squared (``"l2"``) difference.

    L1 gets further from a start; L2 at the end is what PSNR measures.
    """
    difference = sr - hr
    return difference.abs().mean() if kind == "l1" else difference.square().mean()


def oriented_output(network: nn.Module, lr: Tensor) -> Tensor:
    """What a network makes of every image in a random one of its 8 orientations, turned back.

    Averaged over the orientations, a network's output is closer to the truth (Timofte et al., 2016); one at random is
    that average in expectation, at an eighth of its cost.

    Args:
        network: takes ``(B, 3, h, w)`` with h = w.
        lr: its input.
    """
    masks = (torch.rand(3, lr.shape[0], device=lr.device) < 0.5).unbind(0)
    return oriented(network(oriented(lr, masks)), masks, back=True)


@exact_float32()
def train_encoder(
    network: RRDBNet,
    pool: Pool,
    config: TrainConfig,
    out_dir: Path,
    *,
    loss: Literal["l1", "l2"] = "l1",
    teacher: RRDBNet | None = None,
    teacher_weight: float = 1.0,
    validation: tuple[Tensor, Tensor] | None = None,
    amp: bool = True,
    compile: bool = False,
    graph: bool = True,
    resume: bool = True,
    extra: Mapping[str, Any] | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train an encoder and its head by regression (Wang et al., 2018, first stage).

    Args:
        network: the encoder, on the pool's device.
        pool: training pairs.
        config: settings (``noise`` does not apply).
        out_dir: run folder.
        loss: see :func:`regression_loss`.
        teacher: an encoder on the pool's device whose :func:`oriented_output` is a second target. It is nearer to what
            the network can reach than the original picture is, so gradients are less noisy.
        teacher_weight: weight of the distance to it.
        validation: HR and LR crops, ``(B, 3, H, W)``.
        amp: run the network in bfloat16.
        compile: use ``torch.compile``.
        graph: replay steps as a CUDA graph where the device is a GPU.
        resume: go on from the folder's state.
        extra: further entries for ``config.json``.
        report: called with every log record.

    Returns:
        The last log record.
    """
    seed_process(config.seed)
    device = pool.device
    network.train().requires_grad_(True)
    if teacher is not None:
        teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(hr: Tensor, lr: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            sr: Tensor = network(lr)
            distance = regression_loss(sr, hr, loss)
            if teacher is not None:
                with torch.no_grad():
                    target = oriented_output(teacher, lr)
                distance = distance + teacher_weight * regression_loss(sr, target, loss)
            return distance

    step = torch.compile(loss_of) if compile else loss_of

    def draw() -> Tensor:
        return step(*pool.draw(config.batch_size, config.patch))

    def validate(trained: nn.Module) -> dict[str, float]:
        if validation is None:
            return {}
        hr, lr = validation
        scores = [
            psnr(trained(small).clamp(0, 1), large, y_only=True, border=4)
            for large, small in zip(hr.split(4), lr.split(4), strict=True)
        ]
        return {"val_psnr_y": torch.cat(scores).mean().item()}

    loop = Loop(
        network, draw, config, out_dir, validate=validate, score=lambda figures: -figures["val_psnr_y"],
        extra=extra, report=report, graph=graph,
    )  # fmt: skip
    if resume:
        loop.resume()
    return loop.run()
