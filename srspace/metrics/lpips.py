"""LPIPS (Zhang et al., 2018), thin over the ``lpips`` package."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Literal
from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.metrics._optional import MetricUnavailableError
from srspace.metrics._torchvision import ensure_torchvision


class Lpips(nn.Module):
    """Learned perceptual distance, version 0.1; lower is better.

    Args:
        net: the backbone; its weights come from ``TORCH_HOME`` or are downloaded there.

    Raises:
        MetricUnavailableError: the backbone is neither there nor to be had.
    """

    def __init__(self, net: Literal["alex", "squeeze", "vgg"] = "alex") -> None:
        super().__init__()
        if net not in ("alex", "squeeze", "vgg"):
            raise ValueError(f"net must be alex, squeeze or vgg, not {net!r}")
        ensure_torchvision()
        import lpips

        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")
                self.model = lpips.LPIPS(net=net, verbose=False)
        except (URLError, OSError) as error:
            raise MetricUnavailableError(
                f"the {net} backbone of LPIPS is not in TORCH_HOME and cannot be downloaded: "
                f"run 'srspace data pull lpips-{net}' with a network."
            ) from error
        self.net = net
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Lpips:
        """Stay in evaluation mode: the distance is fixed."""
        return super().train(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            sr: ``(B, 3, H, W)`` in [0, 1].
            hr: the same shape.

        Returns:
            ``(B,)``.
        """
        distance: Tensor = self.model(sr * 2 - 1, hr * 2 - 1)
        return distance.flatten()

    @torch.no_grad()
    def features(self, image: Tensor) -> list[Tensor]:
        """Unit-length features of each layer; those of a reference can be kept for many comparisons.

        Args:
            image: ``(B, 3, H, W)`` in [0, 1].
        """
        import lpips

        layers = self.model.net(self.model.scaling_layer(image * 2 - 1))
        return [lpips.normalize_tensor(layer) for layer in layers]

    @torch.no_grad()
    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """The same distance from :meth:`features` of both images, to the last bit; ``(B,)``."""
        total = sum(layer.mean((2, 3), keepdim=True) for layer in self._differences(a, b))
        return torch.as_tensor(total).flatten()

    @torch.no_grad()
    def distance_map(self, a: list[Tensor], b: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Distance at every pixel, from :meth:`features` of both images.

        Args:
            a: features of an image.
            b: features of the other.
            size: height and width of the images.

        Returns:
            ``(B, 1, H, W)``; its mean is close to the distance.
        """
        layers = self._differences(a, b)
        total = sum(F.interpolate(layer, size=size, mode="bilinear", align_corners=False) for layer in layers)
        return torch.as_tensor(total)

    def _differences(self, a: list[Tensor], b: list[Tensor]) -> Iterator[Tensor]:
        for x, y, layer in zip(a, b, self.model.lins, strict=True):
            yield layer((x - y) ** 2)

    def loss(self, sr: Tensor, hr: Tensor, *, eps: float = 1e-8) -> Tensor:
        """The same distance with a gradient that stays finite where features vanish.

        The package divides by a norm whose derivative is infinite at zero; here ``eps`` sits under the root.

        Args:
            sr: ``(B, 3, H, W)`` in [0, 1]; gradients flow into it.
            hr: the same shape.
            eps: added to squared norms.

        Returns:
            ``(B,)``.
        """
        features = self.model.net(self.model.scaling_layer(sr * 2 - 1))
        with torch.no_grad():
            targets = self.model.net(self.model.scaling_layer(hr * 2 - 1))
        total = sr.new_zeros(sr.shape[0])
        for a, b, layer in zip(features, targets, self.model.lins, strict=True):
            difference = (_unit(a, eps) - _unit(b, eps)).square()
            total = total + layer(difference).mean((1, 2, 3))
        return total


def _unit(x: Tensor, eps: float) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + eps)
