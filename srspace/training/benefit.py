"""Whether the weights for damaged pictures would give the better result, told from an LR image and its clean version.

Upscaling every training image with both families would take the time of training them. What was measured once, on
crops upscaled with both, is summed up in a few numbers that compare the two versions of an LR image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srspace.models.statistics import luma_chroma, smoothed

_FITTED = (0.0021, -0.0205, 0.0456, 0.0003, -0.0097, 0.0164, -0.0018, -0.0080, -0.0001, 0.0296, -0.0056, 0.0276)


def benefit(lr: Tensor, clean: Tensor) -> Tensor:
    """How much better a result of the family for damaged pictures is expected to be than one of the clean family.

    "Better" is LPIPS (the mean of Alex and Squeeze) in the dial mode near its natural end, a dB of PSNR-Y counting as
    0.01: about what the dial itself exchanges there. It is a linear function of :func:`measures`, fitted by ridge
    regression to 203 crops of training photographs, 32x32 to 48x48 pixels, damaged in 50 ways and upscaled with both
    families. On 79 crops of other photographs it explains 68 % of the variance (the rest is their content). Deciding by
    it costs 0.007 a crop more there than the better result of each, always taking the family for damaged pictures
    0.009, always the clean one 0.092.

    Args:
        lr: ``(B, 3, h, w)`` float32, 8-bit levels.
        clean: MATLAB's bicubic reduction of the same originals, likewise.

    Returns:
        ``(B,)``, positive where the family for damaged pictures is the better one.
    """
    return measures(lr, clean) @ lr.new_tensor(_FITTED)


def sharpness(lr: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """How an image is sharpened or blurred against its clean version, and what of the difference that leaves.

    The difference in luma is fitted by two bands of the clean image's details.

    Args:
        lr: ``(B, 3, h, w)`` float32, 8-bit levels.
        clean: likewise.

    Returns:
        ``(B, 2)``, the factors of the fine and of the coarser band (-1: the band is gone, 0: it is as it should be,
        1: it is doubled), and the rest of the difference, ``(B, h, w)``.
    """
    difference, clean = luma_chroma(lr - clean)[:, :1], luma_chroma(clean)[:, :1]
    soft = smoothed(clean)
    bands = torch.stack([clean - soft, soft - smoothed(soft)], -1).flatten(1, 3)
    # A little of the unit matrix keeps factors near 0 where an image has no details.
    gram = bands.mT @ bands + 0.05 * bands.shape[1] * torch.eye(2, device=lr.device)
    factors = torch.linalg.solve(gram, bands.mT @ difference.flatten(1)[..., None])
    rest = difference - (bands @ factors)[..., 0].view_as(difference)
    return factors[..., 0], rest[:, 0]


def measures(lr: Tensor, clean: Tensor) -> Tensor:
    """What :func:`benefit` knows of an image: ``(B, 12)``.

    Args:
        lr: as of :func:`sharpness`.
        clean: likewise.
    """
    factors, rest = sharpness(lr, clean)
    fine, coarse = factors.unbind(1)
    grey = luma_chroma(clean)[:, :1]
    low = smoothed(smoothed(rest[:, None]))[:, 0]
    noise, detail = _log_rms(rest), _log_rms(grey - smoothed(grey))
    smooth, rough, chroma = _log_rms(low), _log_rms(rest - low), _log_rms(luma_chroma(lr - clean)[:, 1:])
    columns = [
        torch.ones_like(fine), fine, fine.abs(), coarse, coarse.abs(), noise, noise * detail, detail, noise**2,
        smooth, chroma, rough - smooth,
    ]  # fmt: skip
    return torch.stack(columns, 1)


def _log_rms(values: Tensor) -> Tensor:
    return torch.log(values.flatten(1).square().mean(1).sqrt() + 0.3)
