"""Narrowing: a flow, or a network with a dial, that looks at fewer blocks of the encoder's trunk and gives the same.

Every first layer that looks at the encoder's features is linear in them, and the outputs of neighbouring blocks tell
most of each other. So what a layer took from the blocks that it loses is taken from the others, by ridge regression on
the features of photographs. What this cannot tell is left to training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srspace.checkpoints import check_no_model, describe, load_flow, load_model, read_config, save_model
from srspace.data.folders import centre_crops
from srspace.errors import UsageError
from srspace.hub import base_flow, resolve_weights
from srspace.models import DialFusion, SRFlow
from srspace.models.flow.coupling import ConditionalAffineCoupling

_SIDE = 96
_RIDGE = 1e-4
_WINDOWS = 9000
_SEED = 0


def narrow(
    source: str,
    out_dir: Path,
    stack_blocks: Sequence[int],
    data: Path,
    *,
    weights: str | None = None,
    count: int = 48,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> dict[str, Any]:
    """Narrow the weights ``source`` into a model folder, which holds them in float32.

    Args:
        source: a flow, or a network with a dial: catalogue name, folder or ``hf://owner/repo[@revision]``.
        out_dir: the folder to write; it must not hold a model yet.
        stack_blocks: the blocks to keep.
        data: folder of photographs, of whose LR versions parts of 96x96 pixels are looked at.
        weights: for a network with a dial, its flow as it was before; None for the one in the catalogue.
        count: how many photographs.
        progress: called with what is being done and the share done of it.

    Returns:
        The configuration written.

    Raises:
        UsageError: the weights are of another kind, or the blocks are not some of the flow's, but not all.
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    check_no_model(out_dir)
    folder = resolve_weights(source)
    network = load_model(folder)
    if not isinstance(network, SRFlow | DialFusion):
        raise UsageError(f"{source} holds weights of the kind {read_config(folder)['kind']}, not flow or dial-fusion.")
    model = network if isinstance(network, SRFlow) else load_flow(resolve_weights(weights or base_flow(source)))
    _check(model, stack_blocks)
    side = _SIDE * model.scale
    _, lrs = centre_crops(
        data, side=side, scale=model.scale, count=count, progress=lambda share: progress(f"reading {data}", share)
    )

    def images() -> Iterator[Tensor]:
        for i, lr in enumerate(lrs.split(1)):
            progress("fitting layers", i / len(lrs))
            yield lr

    if isinstance(network, SRFlow):
        narrowed: nn.Module = narrow_flow(network, stack_blocks, images())
    else:
        narrowed = narrow_dial(network, model, stack_blocks, images())
    extra = {key: value for key, value in read_config(folder).items() if key not in describe(narrowed)}
    return save_model(out_dir, narrowed, extra=extra | {"narrowed_from": source})


def narrow_flow(model: SRFlow, stack_blocks: Sequence[int], lrs: Iterable[Tensor]) -> SRFlow:
    """A flow whose couplings look at some of the trunk blocks that ``model``'s look at.

    Args:
        model: the flow; it is not changed.
        stack_blocks: the blocks to keep.
        lrs: LR images ``(1, 3, h, w)`` in [0, 1] to fit the layers on, at least 3x3.

    Returns:
        The flow, with a copy of the encoder.

    Raises:
        UsageError: the blocks are not some of the model's, but not all.
    """
    blocks = _check(model, stack_blocks)
    narrowed = SRFlow(model.encoder.config, dataclasses.replace(model.flow.config, stack_blocks=blocks))
    channels = _channels(model, blocks)
    layers = [list(_conditioned(level, model)) for level in model.flow.levels]
    fits = [_Fit(torch.cat([layer.seen for layer in level]), channels) for level in layers]
    for maps in _features(model, lrs):
        for fit, features in zip(fits, maps, strict=True):
            fit.add(features)
    _carry_over(model, narrowed)
    for fit, level, wide in zip(fits, narrowed.flow.levels, layers, strict=True):
        weights, offsets = fit.solve()
        sizes = [len(layer.seen) for layer in wide]
        parts = zip(_conditioned(level, narrowed), wide, weights.split(sizes), offsets.split(sizes), strict=True)
        for layer, before, weight, offset in parts:
            layer.replace(before, weight, offset)
    return narrowed.eval().requires_grad_(False)


def narrow_dial(network: DialFusion, model: SRFlow, stack_blocks: Sequence[int], lrs: Iterable[Tensor]) -> DialFusion:
    """The network with a dial for the flow that :func:`narrow_flow` makes of ``model``.

    Args:
        network: the network for ``model``; it is not changed.
        model: the flow before.
        stack_blocks: the blocks to keep.
        lrs: as in :func:`narrow_flow`.

    Raises:
        UsageError: the network is not for such a flow, or the blocks are not some of the model's, but not all.
    """
    blocks = _check(model, stack_blocks)
    if (network.config.scale, network.config.features) != (model.scale, _width(model)):
        raise UsageError("the network with a dial was made for a flow of other sizes.")
    channels = _channels(model, blocks)
    narrowed = DialFusion(dataclasses.replace(network.config, features=len(channels)))
    wide = _dialled(network)
    fit = _Fit(wide.seen, channels)
    for maps in _features(model, lrs):
        fit.add(maps[-1])
    _carry_over(network, narrowed)
    _dialled(narrowed).replace(wide, *fit.solve())
    return narrowed.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Layer:
    """A first layer, of whose input channels the features are ``start`` and those that follow."""

    convolution: nn.Conv2d
    start: int
    count: int

    @property
    def seen(self) -> Tensor:
        """The part of the weight that the features meet."""
        return self.convolution.weight.detach()[:, self.start : self.start + self.count]

    @torch.no_grad()
    def replace(self, before: _Layer, seen: Tensor, offset: Tensor) -> None:
        """Hold another layer's weights, but for the features."""
        weight = before.convolution.weight
        parts = (weight[:, : before.start], seen, weight[:, before.start + before.count :])
        self.convolution.weight.copy_(torch.cat(parts, 1))
        self.convolution.bias.copy_(before.convolution.bias + offset)  # type: ignore[union-attr, operator]


class _Fit:
    """Ridge regression of a 3x3 convolution on some of its input channels, towards the weights that it has there.

    Args:
        weight: of the convolution, ``(O, C, 3, 3)``.
        channels: the channels to keep.
    """

    def __init__(self, weight: Tensor, channels: list[int]) -> None:
        self.weight, self.channels = weight, channels
        self.generator = torch.Generator().manual_seed(_SEED)
        size = 9 * len(channels) + 1
        self.moments = torch.zeros(size, size, dtype=torch.float64)
        self.products = torch.zeros(size, len(weight), dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Learn from ``(1, C, H, W)``, away from its edges."""
        targets = F.conv2d(features, self.weight)[0].flatten(1)
        windows = F.unfold(features[:, self.channels], 3)[0]
        if windows.shape[1] > _WINDOWS:
            chosen = torch.randperm(windows.shape[1], generator=self.generator)[:_WINDOWS]
            windows, targets = windows[:, chosen], targets[:, chosen]
        windows = torch.cat((windows, torch.ones_like(windows[:1])))
        self.moments += windows @ windows.T
        self.products += windows @ targets.T

    def solve(self) -> tuple[Tensor, Tensor]:
        """The weight ``(O, kept, 3, 3)``, and what is added to the bias, ``(O,)``."""
        start = F.pad(self.weight[:, self.channels].flatten(1), (0, 1)).T.double()
        ridge = _RIDGE * self.moments.diagonal().mean().clamp(min=1e-12)
        moments = self.moments + ridge * torch.eye(len(start), dtype=torch.float64)
        found = torch.linalg.solve(moments, self.products + ridge * start).float()
        return found[:-1].T.reshape(len(self.weight), len(self.channels), 3, 3), found[-1]


def _check(model: SRFlow, stack_blocks: Sequence[int]) -> tuple[int, ...]:
    before, blocks = model.flow.config.stack_blocks, tuple(sorted(set(stack_blocks)))
    if not blocks or not set(blocks) < set(before):
        raise UsageError(
            f"a narrower flow keeps some of the stacked blocks {', '.join(map(str, before))}, but not all of them."
        )
    return blocks


def _carry_over(source: nn.Module, target: nn.Module) -> None:
    """Copy all that is of the same shape in both."""
    state, fresh = source.state_dict(), target.state_dict()
    target.load_state_dict({key: state[key] if state[key].shape == fresh[key].shape else fresh[key] for key in fresh})


def _width(model: SRFlow) -> int:
    return model.encoder.config.nf * (1 + len(model.flow.config.stack_blocks))


def _channels(model: SRFlow, blocks: tuple[int, ...]) -> list[int]:
    """Where the kept blocks' channels, and the level's own map, lie among the features."""
    nf = model.encoder.config.nf
    parts = (0, *(1 + model.flow.config.stack_blocks.index(block) for block in blocks))
    return [nf * part + i for part in parts for i in range(nf)]


def _conditioned(level: nn.Module, model: SRFlow) -> Iterator[_Layer]:
    """The layers of a level of ``model``'s flow that look at the encoder's features."""
    for coupling in level.modules():
        if isinstance(coupling, ConditionalAffineCoupling):
            yield _Layer(coupling.f_features.first, 0, _width(model))
            yield _Layer(coupling.f_affine.first, coupling.kept, _width(model))


def _dialled(network: DialFusion) -> _Layer:
    return _Layer(network.head, 4 * 3 * network.config.scale**2, network.config.features)


@torch.inference_mode()
def _features(model: SRFlow, lrs: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Of each image, what each level of the flow looks at, finest first."""
    for lr in lrs:
        features = model.features(lr)
        maps = (*reversed(features.upsampled), features.last)
        yield [torch.cat((own, F.interpolate(features.stacked, size=own.shape[-2:])), 1) for own in maps]
