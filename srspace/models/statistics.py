"""Statistics of an image in which damage shows, whatever the image shows.

Pictures of any content share how their details fall off from coarse to fine, and how neighbouring ones are correlated.
Blur, sharpening, noise, compression and reduction without antialiasing each change that in a way of their own. The
approach is that of steganalysis and image forensics: filters that take the content away, and statistics of what is
left (compare Fridrich, Kodovský, "Rich models for steganalysis of digital images", IEEE TIFS, 2012; Fan, de Queiroz,
"Identification of bitmap compression history: JPEG detection and quantizer estimation", IEEE TIP, 2003).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 24
"""The smallest side of an image, in pixels."""

_LUMA = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
_DCT = 4
_BLOCK = 8
_FAINT = 0.05  # variance that counts as none, in squared levels


def statistics(levels: Tensor) -> Tensor:
    """All of them.

    Args:
        levels: ``(B, 3, h, w)`` float32, 8-bit levels from 0 to 255; sides are at least :data:`SMALLEST`.

    Returns:
        ``(B, COUNT)``.
    """
    colours = luma_chroma(levels)
    luma = colours[:, :1]
    size = levels.new_full((len(levels), 1), math.log2(levels.shape[-2] * levels.shape[-1]))
    groups = [size, _flatness(levels, luma), _spectrum(colours), _scales(luma), _correlations(luma), _grid(luma)]
    return torch.cat(groups, 1)


def luma_chroma(levels: Tensor) -> Tensor:
    """Luma and two differences of colour, as JPEG has them: ``(B, 3, h, w)`` of the same."""
    return torch.einsum("oc,bchw->bohw", levels.new_tensor(_LUMA), levels)


def smoothed(image: Tensor) -> Tensor:
    """``(B, 1, h, w)`` by a binomial filter of 3x3."""
    kernel = image.new_tensor((0.25, 0.5, 0.25))
    padded = F.pad(image, (1, 1, 1, 1), "replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 3, 1)), kernel.view(1, 1, 1, 3))


def _spectrum(colours: Tensor) -> Tensor:
    """How strong each frequency of a 4x4 cosine transform is, at any offset: noise and blur, and of which colour."""
    k = torch.arange(_DCT, device=colours.device)
    basis = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * _DCT)) * math.sqrt(2 / _DCT)
    basis[0] /= math.sqrt(2)
    kernels = torch.einsum("ai,bj->abij", basis, basis).reshape(-1, 1, _DCT, _DCT)
    bands = F.conv2d(colours.flatten(0, 1)[:, None], kernels)
    strength = torch.log1p(bands.abs()).mean((2, 3)).view(-1, _DCT, _DCT)
    strength = (strength + strength.mT) / 2
    rows, columns = torch.triu_indices(_DCT, _DCT)[:, 1:].unbind()  # without the constant one
    return strength[:, rows, columns].reshape(len(colours), -1)


def _correlations(luma: Tensor) -> Tensor:
    """How like their neighbours details are: demosaicing, smoothing and sharpening leave patterns."""
    kernel = luma.new_tensor((1, -2, 1))
    cross = F.conv2d(luma, torch.outer(kernel, kernel).view(1, 1, 3, 3) / 6)
    return torch.cat([_correlated(d) for d in (cross, cross.clamp(-3, 3), luma - smoothed(luma))], 1)


def _correlated(details: Tensor) -> Tensor:
    """Correlation with the next, the one after, the diagonal and the third neighbour."""
    d = details[:, 0]
    variance = d.square().mean((1, 2)) + _FAINT

    def like(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).mean((1, 2)) / variance

    straight = [(like(d[..., n:], d[..., :-n]) + like(d[:, n:], d[:, :-n])) / 2 for n in (1, 2, 3)]
    diagonal = (like(d[:, 1:, 1:], d[:, :-1, :-1]) + like(d[:, 1:, :-1], d[:, :-1, 1:])) / 2
    return torch.stack([*straight, diagonal], 1)


def _scales(luma: Tensor) -> Tensor:
    """How steps grow with distance, small ones and the steepest: softness, halos, and edges without antialiasing."""
    near, middle, far = (_steps(luma, distance) for distance in (1, 2, 4))
    third = torch.cat([_third(luma).flatten(1), _third(luma.mT).flatten(1)], 1)
    pairs = [
        *((one.mean(1), other.mean(1)) for one, other in ((near, middle), (middle, far), (third, near))),
        (near.square().mean(1).sqrt(), middle.square().mean(1).sqrt()),
        *((torch.quantile(near, q, 1), torch.quantile(middle, q, 1)) for q in (0.9, 0.98)),
        (torch.quantile(middle, 0.98, 1), torch.quantile(far, 0.98, 1)),
    ]
    return torch.stack([torch.log((one + 0.1) / (other + 0.1)) for one, other in pairs], 1)


def _steps(luma: Tensor, distance: int) -> Tensor:
    across, down = luma[..., distance:] - luma[..., :-distance], luma[..., distance:, :] - luma[..., :-distance, :]
    return torch.cat([across.flatten(1), down.flatten(1)], 1).abs()


def _third(luma: Tensor) -> Tensor:
    """Third differences: strong where an edge is a bare step."""
    return (luma[..., 3:] - 3 * luma[..., 2:-1] + 3 * luma[..., 1:-2] - luma[..., :-3]).abs()


def _flatness(levels: Tensor, luma: Tensor) -> Tensor:
    """Shares of equal neighbours, of nearly equal ones, and of samples at the ends of the range."""
    steps = _steps(luma, 1)
    ends = ((levels <= 0) | (levels >= 255)).float()
    return torch.stack([(steps < 0.5).float().mean(1), (steps < 1.6).float().mean(1), ends.mean((1, 2, 3))], 1)


def _grid(luma: Tensor) -> Tensor:
    """Steps that stand out every 8 pixels, at whatever offset: the blocks of JPEG and video codecs."""
    found = torch.stack([_stand_out(image) for image in (luma[:, 0], luma[:, 0].mT)], 2)
    return torch.cat([found.mean(2), found.amin(2)], 1)


def _stand_out(image: Tensor) -> Tensor:
    """``(B, 4)``: the most conspicuous column of 8 against the others' mean and the second, by count and by height."""
    steps = (image[..., 1:] - image[..., :-1]).abs()
    step, before, after = steps[..., 1:-1], steps[..., :-2], steps[..., 2:]
    peaks = (step > torch.maximum(before, after) + 0.01).float()
    heights = (step - (before + after) / 2).clamp(-6, 6)
    found = []
    for values in (peaks, heights):
        whole = values[..., : values.shape[-1] // _BLOCK * _BLOCK]
        ranked = whole.unflatten(-1, (-1, _BLOCK)).mean((1, 2)).sort(1).values
        found += [ranked[:, -1] - ranked[:, :-1].mean(1), ranked[:, -1] - ranked[:, -2]]
    return torch.stack(found, 1)


COUNT = 1 + 3 + 27 + 7 + 12 + 8
"""How many statistics there are."""
