"""Training a fusion network with a dial on candidates of a frozen flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace.checkpoints import load_encoder, load_flow, load_fusion
from srspace.config import DialConfig
from srspace.data.pools import Batches
from srspace.devices import pick_precision
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.metrics import Lpips, psnr
from srspace.models import DialFusion
from srspace.training.candidates import CandidateSource, Drawn
from srspace.training.losses import SMALLEST, inner, perceptual, regression
from srspace.training.settings import DialTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task

BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Positions of the dial that are validated."""

_AT_A_TIME = 4
_BORDER = 4
_SEED = 0
_TEMPERATURE = 0.9


class DialTask(Task):
    """A network that merges candidates at any balance, by LPIPS and pixels weighed by the balance.

    Every step draws its candidates afresh. Each image has a balance and a number of candidates of its own.

    Args:
        network: the network, on its device.
        source: draws candidates of the frozen flow, on the same device.
        batches: training pairs, likewise.
        config: the task's options.
        held_out: pairs to validate on.

    Raises:
        UsageError: patches are too small for LPIPS.
    """

    network: DialFusion

    def __init__(
        self,
        network: DialFusion,
        source: CandidateSource,
        batches: Batches,
        config: DialTaskConfig,
        *,
        held_out: Pairs | None = None,
    ) -> None:
        if batches.patch < SMALLEST:
            raise UsageError(f"a patch for LPIPS must be at least {SMALLEST} pixels wide, not {batches.patch}.")
        self.network = network.requires_grad_(True)
        self.source, self.batches, self.config, self.held_out = source, batches, config, held_out
        device = next(network.parameters()).device
        self.critics = [Lpips(net).to(device) for net in config.lpips_nets]
        self.extra = {"scale": source.scale}

    @classmethod
    def build(cls, config: DialTaskConfig, sizes: DialConfig, sources: Sources) -> DialTask:
        """The task that a configuration describes.

        Args:
            config: the task's own options.
            sizes: of a fresh network, but for the scale and the encoder's features.
            sources: pictures and device.

        Raises:
            SRSpaceError: weights, pictures or options are missing or do not fit together.
        """
        flow = load_flow(resolve_weights(config.weights))
        if config.encoder is not None:
            flow.encoder.load_state_dict(load_encoder(resolve_weights(config.encoder)).state_dict())
        channels = flow.flow.condition_channels
        if config.start is None:
            fresh = {**sizes.to_dict(), "scale": flow.scale, "features": channels}
            network = DialFusion(DialConfig.from_dict(fresh))
        else:
            loaded = load_fusion(resolve_weights(config.start))
            if not isinstance(loaded, DialFusion):
                raise UsageError(f"{config.start} holds a fusion network without a dial.")
            network = loaded
        if (network.config.scale, network.config.features) != (flow.scale, channels):
            raise UsageError(f"the network of {config.start} was made for a flow of other sizes.")
        source = CandidateSource(flow.to(sources.device), pick_precision("auto", sources.device))
        batches, held_out = sources.batches(flow.scale), sources.pairs(flow.scale)
        return cls(network.to(sources.device), source, batches, config, held_out=held_out)

    def batch(self) -> tuple[Tensor, ...]:
        hr, lr = self.batches.draw()
        drawn = self.source.draw(lr, self.config.samples, self.config.temperatures)
        numbers = torch.randint(1, self.config.samples + 1, (len(hr),), device=hr.device)
        return hr, *inputs(drawn, lr, numbers), self._balances(hr)

    def _balances(self, hr: Tensor) -> Tensor:
        """``(B,)``: uniform, but for the shares that have each of the ends."""
        kind, balance = torch.rand(2, len(hr), device=hr.device)
        most, least = self.config.natural_share, self.config.faithful_share
        balance = torch.where(kind < most, 1.0, balance)
        return torch.where(kind > 1 - least, 0.0, balance)

    def loss(self, *batch: Tensor) -> Tensor:
        hr, *parts, balance = batch
        sr, hr = inner(self.network(*parts, balance)), inner(hr)
        pixels = self._differences(sr, hr)
        if self.config.coarse_share > 0:
            coarse = self._differences(F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2))
            pixels = pixels.lerp(coarse, self.config.coarse_share * balance)
        weight = self.config.pixel_weight * self.config.pixel_ratio ** (1 - balance)
        # Divided, so that no position of the dial has gradients much larger than another's.
        return ((perceptual(sr, hr, self.critics) + weight * pixels) / (1 + weight / 10)).mean()

    def _differences(self, sr: Tensor, hr: Tensor) -> Tensor:
        return regression(sr, hr, "l1") + self.config.square_weight * regression(sr, hr, "l2")

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """PSNR-Y in dB and LPIPS at several balances, of two candidates, of a candidate and of the encoder's output."""
        if self.held_out is None:
            return {}
        figures: dict[str, list[Tensor]] = defaultdict(list)
        cuda = [self.held_out[0].device] if self.held_out[0].device.type == "cuda" else []
        with torch.random.fork_rng(cuda):
            torch.manual_seed(_SEED)
            for hr, lr in zip(*(images.split(_AT_A_TIME) for images in self.held_out), strict=True):
                drawn = self.source.draw(lr, 2, (_TEMPERATURE,))
                parts = inputs(drawn, lr, torch.full((len(hr),), 2, device=hr.device))
                results = {"rrdb": drawn.regression, "sample": drawn.candidates[:, 0]}
                results |= {f"{b:g}": self.network(*parts, torch.full_like(hr[:, 0, 0, 0], b)) for b in BALANCES}
                for name, sr in results.items():
                    sr = sr.float().clamp(0, 1)
                    figures[f"val_psnr_{name}"].append(psnr(sr, hr, y_only=True, border=_BORDER))
                    for critic in self.critics:
                        figures[f"val_{critic.net}_{name}"].append(critic(sr, hr))
        return {key: torch.cat(values).mean().item() for key, values in figures.items()}

    def score(self, figures: Mapping[str, float]) -> float:
        return sum(figures[f"val_{critic.net}_1"] for critic in self.critics)


def inputs(drawn: Drawn, lr: Tensor, numbers: Tensor) -> tuple[Tensor, ...]:
    """What a :class:`~srspace.models.DialFusion` takes but for the balance.

    Args:
        drawn: of the flow.
        lr: ``(B, 3, h, w)``.
        numbers: how many candidates of each image count, ``(B,)``; the first ones do.
    """
    candidates = drawn.candidates
    order = torch.arange(candidates.shape[1], device=lr.device)
    weights = ((order < numbers[:, None]).float() / numbers[:, None])[:, :, None, None, None]
    mean = (weights * candidates).sum(1)
    # A root has no gradient at 0; there is none to be had here, but 0 must come out as 0.
    deviation = (weights * (candidates - mean[:, None]).square()).sum(1).sqrt()
    return candidates[:, 0], mean, deviation, drawn.regression, drawn.features, lr
