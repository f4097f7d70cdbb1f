"""Training the flow by exact likelihood and, later, by what its candidates look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from srspace.checkpoints import load_encoder, load_flow
from srspace.config import DEFAULT_WEIGHTS, FlowConfig
from srspace.data.pools import Batches
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.layouts import usual_blocks
from srspace.metrics import Lpips
from srspace.models import SRFlow
from srspace.models.flow import ActNorm2d
from srspace.training.candidates import draw_pairs
from srspace.training.flow_validation import validate_flow
from srspace.training.losses import SMALLEST, bits_per_pixel, error_of_mean, inner, perceptual, regression
from srspace.training.settings import FlowTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task


class FlowTask(Task):
    """A flow by the negative log-likelihood of noisy patches: SRFlow (Lugmayr et al., 2020, arXiv 2006.14200).

    Likelihood looks at originals alone, never at what the flow draws. Once it has brought the flow as far as it goes,
    two further terms look at candidates: their LPIPS (as in HCFlow, Liang et al., 2021, arXiv 2108.05301), and the
    squared error of their mean. LPIPS alone draws the candidates of an image together, where their mean is no better
    than they are.

    Args:
        model: the flow, on its device.
        batches: training pairs, on the same device.
        config: the task's options.
        critics: backbones of LPIPS, needed where it has a weight.
        held_out: pairs to validate on.

    Raises:
        UsageError: patches or batches are too small for LPIPS of candidates.
    """

    network: SRFlow

    def __init__(
        self,
        model: SRFlow,
        batches: Batches,
        config: FlowTaskConfig,
        *,
        critics: Sequence[Lpips] = (),
        held_out: Pairs | None = None,
    ) -> None:
        if config.perceptual_weight and (batches.size < 2 or batches.patch < SMALLEST):
            raise UsageError(f"LPIPS of candidates needs patches of at least {SMALLEST} pixels, and two in a batch.")
        self.network = model.requires_grad_(True)
        model.encoder.requires_grad_(config.train_encoder)
        self.batches, self.config, self.critics, self.held_out = batches, config, critics, held_out
        self.rates = {"encoder.": config.encoder_rate}

    @classmethod
    def build(cls, config: FlowTaskConfig, sizes: FlowConfig, sources: Sources) -> FlowTask:
        """The task that a configuration describes.

        Args:
            config: the task's own options.
            sizes: of a fresh flow; its scale, levels and conditioning blocks follow from the encoder.
            sources: pictures and device.

        Raises:
            SRSpaceError: weights, pictures or options are missing or do not fit together.
        """
        model = _model(config, sizes).to(sources.device)
        critics = [Lpips(net).to(sources.device) for net in config.lpips_nets] if config.perceptual_weight else []
        return cls(model, sources.batches(model.scale), config, critics=critics, held_out=sources.pairs(model.scale))

    def start(self, *, resumed: bool) -> None:
        """Set the actnorms of a fresh flow from a first batch."""
        if resumed or self.config.start is not None:
            return
        for module in self.network.modules():
            if isinstance(module, ActNorm2d):
                module.initialize_on_next_forward = True
        with torch.no_grad():
            self.network.encode(*self.batch())

    def batch(self) -> tuple[Tensor, ...]:
        return self.batches.draw()

    def loss(self, *batch: Tensor) -> Tensor:
        """The nll in bits per HR pixel, and what has a weight beside it."""
        hr, lr = batch
        config, model = self.config, self.network
        noisy = hr + torch.randn_like(hr) * (config.noise / 255)
        with torch.set_grad_enabled(config.train_encoder and torch.is_grad_enabled()):
            features = model.features(lr)
        conditions = model.conditions(features)
        _, log_likelihood = model.log_likelihood(noisy, conditions)
        loss = bits_per_pixel(log_likelihood, hr).mean()
        if config.perceptual_weight:
            one, other, originals = (inner(x) for x in draw_pairs(model.flow, conditions, hr, config.temperatures))
            distance = perceptual(torch.cat((one, other)), originals.repeat(2, 1, 1, 1), self.critics).mean()
            loss = loss + config.perceptual_weight * distance
            loss = loss + config.mean_weight * error_of_mean(one, other, originals).mean()
        if config.train_encoder and config.head_weight:
            own = regression(model.encoder.head(features), hr, config.head_loss).mean()
            loss = loss + config.head_weight * own
        return loss

    def validate(self) -> dict[str, float]:
        """See :func:`srspace.training.flow_validation.validate_flow`."""
        if self.held_out is None:
            return {}
        return validate_flow(self.network, *self.held_out, noise=self.config.noise, critics=self.critics)

    def score(self, figures: Mapping[str, float]) -> float:
        """The loss, but for the encoder's own output, by validation figures."""
        loss = figures["val_nll"]
        if self.config.perceptual_weight:
            distances = [figures[f"val_{critic.net}_sample"] for critic in self.critics]
            loss += self.config.perceptual_weight * sum(distances) / len(distances)
            loss += self.config.mean_weight * 10 ** (-figures["val_psnr_mean"] / 10)
        return loss


def _model(config: FlowTaskConfig, sizes: FlowConfig) -> SRFlow:
    """The flow that is named, or a fresh one; on the encoder that is named, or on the usual one.

    Raises:
        SRSpaceError: weights are missing, damaged, or of sizes that do not fit together.
    """
    named = config.encoder or (DEFAULT_WEIGHTS if config.start is None else None)
    encoder = None if named is None else load_encoder(resolve_weights(named))
    if config.start is not None:
        model = load_flow(resolve_weights(config.start))
        if encoder is not None and encoder.config != model.encoder.config:
            raise UsageError(f"the encoder of {named} has other sizes than the flow of {config.start} was built on.")
    elif encoder is not None:
        scale, blocks = encoder.config.scale, encoder.config.nb
        fitting = replace(
            sizes, scale=scale, levels=scale.bit_length() - 1, stack_blocks=usual_blocks(blocks, min(4, blocks))
        )
        model = SRFlow(encoder.config, fitting)
    if encoder is not None:
        model.encoder.load_state_dict(encoder.state_dict())
    return model
