"""Fitting first layers anew, by least squares and without training.

The layers of a flow and of a network with a dial that look at the encoder's features are linear in them. So where the
features become others, such a layer can be fitted to give what it gave, as far as the new ones tell it: by ridge
regression on photographs. That serves a flow that is to look at fewer blocks of the encoder's trunk, whose outputs
tell most of each other, and a network with a dial whose flow and encoder have been trained on.
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

from srspace.checkpoints import check_no_model, describe, load_flow, load_fusion, read_config, save_model
from srspace.data.folders import centre_crops
from srspace.errors import UsageError
from srspace.hub import base_flow, resolve_weights
from srspace.models import DialFusion, SRFlow
from srspace.models.flow.coupling import ConditionalAffineCoupling

Progress = Callable[[str, float], None]

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
    count: int = 64,
    progress: Progress = lambda what, share: None,
) -> dict[str, Any]:
    """Write the flow ``source``, looking at fewer blocks, into a model folder, in float32.

    Args:
        source: the flow: catalogue name, folder or ``hf://owner/repo[@revision]``.
        out_dir: the folder to write; it must not hold a model yet.
        stack_blocks: the blocks to keep.
        data: folder of photographs, of whose LR versions parts of 96x96 pixels are looked at.
        count: how many photographs.
        progress: called with what is being done and the share done of it.

    Returns:
        The configuration written.

    Raises:
        CheckpointError: the weights are of another kind.
        UsageError: the blocks are not some of the flow's, but not all.
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    check_no_model(out_dir)
    folder = resolve_weights(source)
    model = load_flow(folder)
    narrowed = narrow_flow(model, stack_blocks, _images(data, model.scale, count, progress))
    return save_model(out_dir, narrowed, extra=_history(folder, narrowed) | {"narrowed_from": source})


def refit(
    source: str,
    out_dir: Path,
    to: str,
    data: Path,
    *,
    weights: str | None = None,
    count: int = 64,
    progress: Progress = lambda what, share: None,
) -> dict[str, Any]:
    """Write the network with a dial ``source``, fitted to another flow, into a model folder, in float32.

    Args:
        source: the network: catalogue name, folder or ``hf://owner/repo[@revision]``.
        out_dir: as in :func:`narrow`.
        to: the flow to fit it to.
        data: as in :func:`narrow`.
        weights: the flow that it was trained for; None for the one in the catalogue.
        count: as in :func:`narrow`.
        progress: as in :func:`narrow`.

    Returns:
        The configuration written.

    Raises:
        UsageError: the network has no dial, or it and the flows do not belong together.
        DataError: the folder holds no picture that is large enough, or one that cannot be read.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    check_no_model(out_dir)
    folder = resolve_weights(source)
    network = load_fusion(folder)
    if not isinstance(network, DialFusion):
        raise UsageError(f"{source} holds a fusion network without a dial.")
    before, after = (load_flow(resolve_weights(name)) for name in (weights or base_flow(source), to))
    fitted = refit_dial(network, before, after, _images(data, after.scale, count, progress))
    return save_model(out_dir, fitted, extra=_history(folder, fitted) | {"refitted_from": source})


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
    present, blocks = model.flow.config.stack_blocks, tuple(sorted(set(stack_blocks)))
    if not blocks or not set(blocks) < set(present):
        raise UsageError(
            f"a narrower flow keeps some of the stacked blocks {', '.join(map(str, present))}, but not all of them."
        )
    narrowed = SRFlow(model.encoder.config, dataclasses.replace(model.flow.config, stack_blocks=blocks))
    channels = _channels(model, blocks)
    layers = [list(_conditioned(level, model)) for level in model.flow.levels]
    weights = [torch.cat([layer.seen for layer in level]) for level in layers]
    fits = [_Fit(weight[:, channels]) for weight in weights]
    for lr in lrs:
        with torch.inference_mode():
            for fit, weight, seen in zip(fits, weights, model.condition_maps(model.features(lr)), strict=True):
                fit.add(seen[:, channels], F.conv2d(seen, weight))
    _carry_over(model, narrowed)
    for fit, level, wide in zip(fits, narrowed.flow.levels, layers, strict=True):
        sizes = [len(layer.seen) for layer in wide]
        solved = zip(*(part.split(sizes) for part in fit.solve()), strict=True)
        for layer, before, (weight, offset) in zip(_conditioned(level, narrowed), wide, solved, strict=True):
            layer.replace(before, weight, offset)
    return narrowed.eval().requires_grad_(False)


def refit_dial(network: DialFusion, before: SRFlow, after: SRFlow, lrs: Iterable[Tensor]) -> DialFusion:
    """A network with a dial for another flow, such as one made by :func:`narrow_flow` or trained on.

    Args:
        network: the network for ``before``; it is not changed.
        before: the flow that it was trained for.
        after: the flow to fit it to, of the same scale and with an encoder of the same width.
        lrs: as in :func:`narrow_flow`.

    Raises:
        UsageError: they do not belong together.
    """
    if (network.config.scale, network.config.features) != (before.scale, before.flow.condition_channels):
        raise UsageError("the network with a dial was made for a flow of other sizes.")
    if (before.scale, before.encoder.config.nf) != (after.scale, after.encoder.config.nf):
        raise UsageError("the two flows differ in scale or in the width of their encoders.")
    fitted = DialFusion(dataclasses.replace(network.config, features=after.flow.condition_channels))
    wide = _dialled(network)
    fit = _Fit(_carried(wide.seen, before, after))
    for lr in lrs:
        with torch.inference_mode():
            fit.add(after.features(lr).joined, F.conv2d(before.features(lr).joined, wide.seen))
    _carry_over(network, fitted)
    _dialled(fitted).replace(wide, *fit.solve())
    return fitted.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Layer:
    """A first layer, of whose input channels the features are ``start`` and the ``count - 1`` that follow."""

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
    """Ridge regression of a 3x3 convolution.

    Args:
        start: the weight towards which it is drawn, ``(O, C, 3, 3)``.
    """

    def __init__(self, start: Tensor) -> None:
        self.shape = start.shape
        self.start = F.pad(start.flatten(1), (0, 1)).T.double()
        self.generator = torch.Generator().manual_seed(_SEED)
        self.moments = torch.zeros(len(self.start), len(self.start), dtype=torch.float64)
        self.products = torch.zeros_like(self.start)

    def add(self, inputs: Tensor, targets: Tensor) -> None:
        """Learn from ``(1, C, H, W)``, of which ``(1, O, H - 2, W - 2)`` is to be made."""
        windows, wanted = F.unfold(inputs, 3)[0], targets[0].flatten(1)
        if windows.shape[1] > _WINDOWS:
            chosen = torch.randperm(windows.shape[1], generator=self.generator)[:_WINDOWS]
            windows, wanted = windows[:, chosen], wanted[:, chosen]
        windows = torch.cat((windows, torch.ones_like(windows[:1])))
        self.moments += windows @ windows.T
        self.products += windows @ wanted.T

    def solve(self) -> tuple[Tensor, Tensor]:
        """The weight ``(O, C, 3, 3)``, and what is added to the bias, ``(O,)``."""
        ridge = _RIDGE * self.moments.diagonal().mean().clamp(min=1e-12)
        moments = self.moments + ridge * torch.eye(len(self.start), dtype=torch.float64)
        found = torch.linalg.solve(moments, self.products + ridge * self.start).float()
        return found[:-1].T.reshape(self.shape), found[-1]


def _images(data: Path, scale: int, count: int, progress: Progress) -> Iterator[Tensor]:
    _, lrs = centre_crops(
        data, side=_SIDE * scale, scale=scale, count=count, progress=lambda share: progress(f"reading {data}", share)
    )
    for i, lr in enumerate(lrs.split(1)):
        progress("fitting layers", i / len(lrs))
        yield lr


def _history(folder: Path, network: nn.Module) -> dict[str, Any]:
    """What a model's configuration tells beside sizes, for one made of it."""
    return {key: value for key, value in read_config(folder).items() if key not in describe(network)}


def _carry_over(source: nn.Module, target: nn.Module) -> None:
    """Copy all that is of the same shape in both."""
    state, fresh = source.state_dict(), target.state_dict()
    target.load_state_dict({key: state[key] if state[key].shape == fresh[key].shape else fresh[key] for key in fresh})


def _channels(model: SRFlow, blocks: Sequence[int]) -> list[int]:
    """Where some blocks' channels, and before them the level's own map, lie among the features."""
    nf = model.encoder.config.nf
    parts = (0, *(1 + model.flow.config.stack_blocks.index(block) for block in blocks))
    return [nf * part + i for part in parts for i in range(nf)]


def _carried(weight: Tensor, before: SRFlow, after: SRFlow) -> Tensor:
    """The weight for the features of ``after``: what ``before`` has for the same block, and 0 for others."""
    both = [block for block in after.flow.config.stack_blocks if block in before.flow.config.stack_blocks]
    out = weight.new_zeros(len(weight), after.flow.condition_channels, *weight.shape[2:])
    out[:, _channels(after, both)] = weight[:, _channels(before, both)]
    return out


def _conditioned(level: nn.Module, model: SRFlow) -> Iterator[_Layer]:
    """The layers of a level of ``model``'s flow that look at the encoder's features."""
    for coupling in level.modules():
        if isinstance(coupling, ConditionalAffineCoupling):
            yield _Layer(coupling.f_features.first, 0, model.flow.condition_channels)
            yield _Layer(coupling.f_affine.first, coupling.kept, model.flow.condition_channels)


def _dialled(network: DialFusion) -> _Layer:
    return _Layer(network.head, 4 * 3 * network.config.scale**2, network.config.features)
