"""Training the fusion networks on candidates of fixed flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from srspace.checkpoints import load_flow, load_fusion
from srspace.config import FusionConfig
from srspace.devices import pick_precision
from srspace.errors import UsageError
from srspace.hub import resolve_weights
from srspace.metrics import Lpips, psnr
from srspace.models import Fusion, FusionNet, SetFusionNet
from srspace.training.candidate_pool import CandidateDrawing, CandidatePool, FlowPictures
from srspace.training.candidates import CandidateSource
from srspace.training.losses import SMALLEST, inner, perceptual, regression
from srspace.training.settings import FusionTaskConfig
from srspace.training.sources import Pairs, Sources
from srspace.training.task import Task

REFRESH_EVERY = 10
"""Iterations from one replacement of patches to the next."""

_AT_A_TIME = 4
_BORDER = 4


class FusionTask(Task):
    """A network that merges candidates, by L1 (fidelity) or LPIPS (natural looks).

    The paper's Fusion-L1 and Fusion-LPIPS (Korkmaz et al., 2022, arXiv 2209.08564) are the kind for stacks; the kind
    for sets takes any number of candidates. Patches are drawn ahead and replaced all along, so that the network does
    not learn them by heart.

    Args:
        network: the network, on its device.
        drawing: draws its candidates, on the same device.
        batch_size: B, patches in a batch.
        config: the task's options.
        held_out: pairs to validate on, with candidates of the first flow at temperature 0.9.

    Raises:
        UsageError: there are fewer candidates than the network takes, or patches too small for LPIPS.
    """

    network: Fusion

    def __init__(
        self,
        network: Fusion,
        drawing: CandidateDrawing,
        batch_size: int,
        config: FusionTaskConfig,
        *,
        held_out: Pairs | None = None,
    ) -> None:
        wanted = network.config.samples
        if wanted is not None and drawing.samples < wanted:
            raise UsageError(f"the network takes {wanted} candidates, but {drawing.samples} are drawn.")
        if config.loss == "lpips" and drawing.patch < SMALLEST:
            raise UsageError(f"a patch for LPIPS must be at least {SMALLEST} pixels wide, not {drawing.patch}.")
        self.network = network.requires_grad_(True)
        self.drawing, self.batch_size, self.config = drawing, batch_size, config
        self.samples = self._usual = wanted or min(config.samples, drawing.samples)
        trained = config.lpips_nets if config.loss == "lpips" else ()
        judges = (config.judge,) if config.judge is not None and held_out is not None else ()
        device = next(network.parameters()).device
        self._judges = {net: Lpips(net).to(device) for net in dict.fromkeys((*trained, *judges))}
        self.critics = [self._judges[net] for net in trained]
        self.held_out = None if held_out is None else self._held_out(held_out)
        self.extra = {"scale": drawing.flows[0].source.scale, "loss": config.loss}

    @classmethod
    def build(cls, config: FusionTaskConfig, sizes: FusionConfig, sources: Sources) -> FusionTask:
        """The task that a configuration describes.

        Args:
            config: the task's own options.
            sizes: of a fresh network, but for its number of candidates.
            sources: pictures, one folder for each flow, and device.

        Raises:
            SRSpaceError: weights, pictures or options are missing or do not fit together.
        """
        if len(config.weights) != len(sources.folders):
            raise UsageError(
                "every flow needs a folder of pictures of its own: "
                f"there are {len(config.weights)} flows and {len(sources.folders)} folders."
            )
        device = sources.device
        flows = [load_flow(resolve_weights(name)).to(device) for name in config.weights]
        if any(flow.scale != flows[0].scale for flow in flows):
            raise UsageError("the flows do not all upscale by the same factor.")
        precision = pick_precision("auto", device)
        pictures = tuple(
            FlowPictures(CandidateSource(flow, precision), sources.pool(folder, flow.scale))
            for flow, folder in zip(flows, sources.folders, strict=True)
        )
        network: Fusion
        if config.start is not None:
            loaded = load_fusion(resolve_weights(config.start))
            if not isinstance(loaded, Fusion):
                raise UsageError(f"{config.start} holds a network with a dial; train it as a dial instead.")
            network = loaded
        elif config.kind == "stack":
            network = FusionNet(replace(sizes, samples=config.samples))
        else:
            network = SetFusionNet(replace(sizes, samples=None))
        # More than a stack: which of them it sees differs from step to step.
        drawing = CandidateDrawing(pictures, config.samples * 3 // 2, sources.train.patch, config.temperatures)
        held_out = sources.pairs(flows[0].scale)
        return cls(network.to(device), drawing, sources.train.batch_size, config, held_out=held_out)

    def start(self, *, resumed: bool) -> None:
        """Draw the patches that training begins with."""
        self.pool = self.drawing.draw(self.config.patches)

    def prepare(self, iteration: int) -> Hashable:
        """Replace the oldest patches now and then, and choose how many candidates the step merges."""
        turn, refresh = iteration // REFRESH_EVERY, self.config.refresh
        if refresh and iteration % REFRESH_EVERY == 0 and iteration > 0:
            self.pool.replace(turn * refresh % len(self.pool), self.drawing.draw(refresh))
        if self.network.config.samples is None:
            # A network for any number of candidates sees the usual one in half of the steps.
            most = self.drawing.samples
            other = int(torch.randint(min(2, most), most + 1, ()))
            self.samples = self._usual if torch.rand(()) < 0.5 else other
        return self.samples

    def batch(self) -> tuple[Tensor, ...]:
        return self.pool.draw(self.batch_size, self.samples)

    def loss(self, *batch: Tensor) -> Tensor:
        stacks, hr = batch
        sr, hr = inner(self.network(stacks)), inner(hr)
        pixel = regression(sr, hr, "l1").mean()
        if not self.critics:
            return pixel
        return perceptual(sr, hr, self.critics).mean() + self.config.pixel_weight * pixel

    def validate(self) -> dict[str, float]:
        """PSNR-Y in dB and LPIPS of the network's results, of the candidates' mean and of a candidate."""
        if self.held_out is None:
            return {}
        figures: dict[str, list[Tensor]] = defaultdict(list)
        pairs = zip(self.held_out.candidates.split(_AT_A_TIME), self.held_out.hr.split(_AT_A_TIME), strict=True)
        for stack, hr in ((candidates.float() / 255, original.float() / 255) for candidates, original in pairs):
            fused = self.network(stack).clamp(0, 1)
            for name, sr in (("fusion", fused), ("mean", stack.mean(1)), ("sample", stack[:, 0])):
                figures[f"val_psnr_{name}"].append(psnr(sr, hr, y_only=True, border=_BORDER))
                for net, critic in self._judges.items():
                    figures[f"val_{net}_{name}"].append(critic(sr, hr))
        return {key: torch.cat(values).mean().item() for key, values in figures.items()}

    def score(self, figures: Mapping[str, float]) -> float:
        if not self.critics:
            return -figures["val_psnr_fusion"]
        return sum(figures[f"val_{critic.net}_fusion"] for critic in self.critics)

    def _held_out(self, pairs: Pairs) -> CandidatePool:
        return CandidatePool.drawn(self.drawing.flows[0].source, *pairs, self._usual, (0.9,))
