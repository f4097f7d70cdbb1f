"""LPIPS, thin over the ``lpips`` package.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, arXiv 1801.03924.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.metrics._optional import loading
from srspace.metrics._torchvision import ensure_torchvision
from srspace.metrics.context import Context
from srspace.metrics.metric import Score
from srspace.metrics.registry import LPIPS_NETS
from srspace.metrics.view import View


class Lpips(nn.Module):
    """Learned perceptual distance, version 0.1; lower is better.

    Args:
        net: the backbone; its weights come from ``TORCH_HOME`` or are downloaded there.

    Raises:
        MetricUnavailableError: the backbone is neither there nor to be had.
    """

    def __init__(self, net: Literal["alex", "squeeze", "vgg"] = "alex") -> None:
        super().__init__()
        if net not in LPIPS_NETS:
            raise ValueError(f"net must be one of {', '.join(LPIPS_NETS)}, not {net!r}")
        ensure_torchvision()
        import lpips

        with loading(f"LPIPS ({net})", package="lpips", extra="metrics", weights=f"lpips-{net}"):
            self.model = lpips.LPIPS(net=net, verbose=False)
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


def features(network: Lpips, image: View) -> list[Tensor]:
    """The image's features, computed once for all metrics that use the network."""
    return image.once(("features", network.net), lambda: network.features(image.rgb))


def vgg(device: torch.device) -> Lpips:
    return Lpips("vgg").to(device)


def alex(device: torch.device) -> Lpips:
    return Lpips("alex").to(device)


def squeeze(device: torch.device) -> Lpips:
    return Lpips("squeeze").to(device)


def make(context: Context) -> Score:
    network: Lpips = context.network(f"lpips-{context.lpips_net}")
    return lambda output, reference: network.distance(features(network, output), features(network, reference.hr))


def _unit(x: Tensor, eps: float) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + eps)
