"""A model prepared for drawing candidates: one device, one precision, everything that only the weights decide done."""

from __future__ import annotations

import copy
import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from srspace.models import kernels, replay
from srspace.models.convolution import layout_for
from srspace.models.flow import DecoderConditions, FlowDecoder, latent_shapes
from srspace.models.rrdb import RRDBFeatures, RRDBNet
from srspace.models.srflow import SRFlow
from srspace.models.trunk import FusedTrunk

Network = TypeVar("Network", bound=nn.Module)


class CandidateModel(Protocol):
    """What a sampler needs of a model.

    Several threads may call it at the same time, each for pictures of its own. B images have the same size.

    Attributes:
        device: where it computes.
        scale: the upscaling factor.
    """

    device: torch.device
    scale: int

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """``(C, H, W)`` of each latent of an HR image of that size."""

    def features(self, lr: Tensor) -> RRDBFeatures:
        """What the encoder knows of ``(B, 3, h, w)`` in [0, 1]."""

    def conditions(self, features: RRDBFeatures, *, once: bool = False) -> Any:
        """What all candidates of an image share; ``once``: they are all decoded at the same time."""

    def select(self, conditions: Any, index: Tensor) -> Any:
        """The conditions of some images of the batch, which may come several times; ``index`` is int64."""

    def decode(self, latents: Sequence[Tensor], conditions: Any) -> Tensor:
        """Candidates ``(n, 3, H, W)`` float32, unclamped, from latents ``(n, C, h, w)``.

        The conditions are of one image, or of n images, one for each candidate.
        """

    def regression(self, features: RRDBFeatures) -> Tensor:
        """The encoder's own super-resolution, ``(B, 3, H, W)`` float32, unclamped; ``features.last`` is enough."""

    def bytes_per_pixel(self) -> tuple[int, int, int]:
        """Memory that one LR pixel takes: what candidates share, what computing that takes, each candidate decoded.

        The second and the third are never held at the same time.
        """


class PreparedSRFlow:
    """Encoder and flow for inference; a copy that later changes of the model do not reach.

    With bfloat16 subnets the encoder keeps a longer mantissa: float16 on a GPU, float32 on a CPU. Its rounding reaches
    all candidates alike, so no averaging removes it, and of all parts it is the one that bfloat16 is too short for. An
    image for which float16 is too narrow is encoded in float32. On a CPU, what the trunk's dense blocks add to float32
    is computed in bfloat16, for they add little.

    Args:
        model: the flow; it is left as it is.
        dtype: of the flow's subnets (None: the type that they have).
        device: where to compute (None: where the model is).
    """

    def __init__(self, model: SRFlow, dtype: torch.dtype | None = None, device: torch.device | None = None) -> None:
        there = model.encoder.conv_first.weight.device
        self.dtype = dtype or model.encoder.dtype
        self.device = device or there
        self.scale, self.config = model.scale, model.flow.config
        kept = _encoder_dtype(self.dtype, self.device)
        self._encoder = _Encoder(prepared(model.encoder, self.device, kept))
        if self.dtype == torch.bfloat16 and self.device.type == "cpu":
            self.encoder.RRDB_trunk.to(torch.bfloat16)
        self._source = copy.deepcopy(model.encoder).cpu() if kept == torch.float16 else None
        self._exact: _Encoder | None = None
        flow = model.flow if self.device == there else copy.deepcopy(model.flow).to(self.device)
        self.decoder = FlowDecoder(flow, self.dtype)
        self._recorder = replay.Recorder(self.device)
        self._kernels: kernels.WarmUp | None = None
        self._lock = threading.Lock()

    @property
    def encoder(self) -> RRDBNet:
        """The encoder, in the precision in which it computes."""
        return self._encoder.network

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """``(C, H, W)`` of each latent of an HR image of that size: splits first, the final latent last."""
        return latent_shapes(self.config, height, width)

    def bytes_per_pixel(self) -> tuple[int, int, int]:
        """See :class:`CandidateModel`."""
        size, config, nf = self.dtype.itemsize, self.config, self.encoder.config.nf
        hidden, levels = config.hidden_channels, config.levels
        condition_channels = nf * (1 + len(config.stack_blocks))
        fused = kernels.available(self.device) and size == 2
        conditions = transient = candidate = 0
        channels = 3
        for level in range(levels):
            area = 4 ** (levels - 1 - level)
            channels *= 4
            conditions += area * config.steps * (8 * channels + hidden * size)
            wide = max(2 * condition_channels - nf, condition_channels + (config.steps + 3) * hidden)
            transient = max(transient, area * size * wide)
            # Without the kernels another wide map and more copies of the state are about.
            state = 4 * channels * (2 if fused else 4)
            candidate = max(candidate, area * (size * hidden * (2 if fused else 3) + state))
            channels //= 2
        width = self.encoder.dtype.itemsize * nf
        encoder = width * (12 + len(config.stack_blocks) + 2 * 4 ** (levels - 1))
        latents = 4 * 3 * 4**levels
        return conditions + width, max(transient, encoder), candidate + latents

    def wait_for_kernels(self) -> bool:
        """Have the GPU kernels compiled now, if there are any; returns whether they are in use from here on."""
        return self._has_kernels and self._start_kernels().wait()

    @property
    def _has_kernels(self) -> bool:
        return self.decoder.fused or self._encoder.trunk is not None

    def _start_kernels(self) -> kernels.WarmUp:
        with self._lock:
            if self._kernels is None:
                self._kernels = kernels.WarmUp(self.device, self._warm_up)
            return self._kernels

    def _warm_up(self) -> Iterator[None]:
        if self._encoder.trunk is not None:
            yield from self._encoder.trunk.warm_up()
        yield from self.decoder.warm_up()

    def _fused(self, lr: Tensor) -> bool:
        """Whether to use the kernels at the size of ``lr``; the first image large enough starts their compiling."""
        batch, _, height, width = lr.shape
        if not self._has_kernels or batch > 1 or height * width < kernels.WORTHWHILE:
            return False
        return self._start_kernels().done

    @torch.no_grad()
    def features(self, lr: Tensor) -> RRDBFeatures:
        """The encoder's features of ``(B, 3, h, w)`` in [0, 1]."""
        fused, stack_blocks, doublings = self._fused(lr), self.config.stack_blocks, self.config.levels - 1

        def encode(lr: Tensor) -> list[Tensor]:
            features = self._encoder(lr, stack_blocks, doublings, fused=fused)
            checked = [torch.isfinite(features.last).all()] if self._source is not None else []
            return [*_tensors(features), *checked]

        found = [*self._run(("features", fused), encode, lr)]
        if self._source is not None and not found.pop():
            return self._exact_encoder()(lr, stack_blocks, doublings, fused=False)
        return _features(found)

    @torch.no_grad()
    def conditions(self, features: RRDBFeatures, *, once: bool = False) -> DecoderConditions | _Coming:
        """See :class:`CandidateModel`."""
        fused = self._fused(features.last)
        return _Coming(features, fused) if once and self._records(features.last) else self._made(features, fused)

    def select(self, conditions: DecoderConditions | _Coming, index: Tensor) -> DecoderConditions | _Coming:
        """See :class:`CandidateModel`."""
        return conditions.select(index)

    @torch.no_grad()
    def decode(self, latents: Sequence[Tensor], conditions: DecoderConditions | _Coming) -> Tensor:
        """Candidates ``(B, 3, H, W)`` float32, unclamped, from latents ``(B, C, h, w)``, splits first.

        The conditions are of one image, or of B images, one for each candidate.
        """
        if isinstance(conditions, DecoderConditions):
            return self.decoder(latents, conditions)
        coming, count = conditions, len(latents)

        def decode(*given: Tensor) -> list[Tensor]:
            latents, rest = given[:count], given[count:]
            index, maps = (None, rest) if coming.index is None else (rest[0], rest[1:])
            made = self._made(_features(maps), coming.fused)
            return [self.decoder(latents, made if index is None else made.select(index))]

        index = [] if coming.index is None else [coming.index]
        return self._recorder(("decode", coming.fused), decode, *latents, *index, *_tensors(coming.features))[0]

    @torch.no_grad()
    def regression(self, features: RRDBFeatures) -> Tensor:
        """The encoder's own super-resolution, ``(B, 3, H, W)`` float32, unclamped; ``features.last`` is enough."""
        if features.last.dtype != self._encoder.network.dtype:
            return self._exact_encoder().network.head(features)
        head = self._encoder.network.head
        return self._run("regression", lambda *maps: [head(_features(maps))], *_tensors(features))[0]

    def _made(self, features: RRDBFeatures, fused: bool) -> DecoderConditions:
        return self.decoder.conditions((*reversed(features.upsampled), features.last), features.stacked, fused=fused)

    def _run(self, kind: Hashable, work: replay.Work, *inputs: Tensor) -> Sequence[Tensor]:
        """What is made of tensors the first of which has the LR image's size."""
        return self._recorder(kind, work, *inputs) if self._records(inputs[0]) else work(*inputs)

    def _records(self, lr: Tensor) -> bool:
        return self._recorder.serves(lr.shape[0] * lr.shape[2] * lr.shape[3], sum(self.bytes_per_pixel()))

    def _exact_encoder(self) -> _Encoder:
        """The encoder in float32, made when it is first needed."""
        with self._lock:
            if self._exact is None:
                self._exact = _Encoder(prepared(self._source or self.encoder, self.device, torch.float32))
            return self._exact


@dataclass(frozen=True)
class _Coming:
    """Conditions that are computed where they are used: recorded together, they need not be kept.

    Attributes:
        features: what they are computed of.
        fused: as of :meth:`srspace.models.flow.FlowDecoder.conditions`.
        index: see :meth:`CandidateModel.select`.
    """

    features: RRDBFeatures
    fused: bool
    index: Tensor | None = None

    def select(self, index: Tensor) -> _Coming:
        return replace(self, index=index)


def _tensors(features: RRDBFeatures) -> list[Tensor]:
    return [features.last, features.stacked, *features.upsampled]


def _features(tensors: Sequence[Tensor]) -> RRDBFeatures:
    last, stacked, *upsampled = tensors
    return RRDBFeatures(last, stacked, tuple(upsampled))


class _Encoder:
    """An encoder and, where the kernels serve it, its fused trunk."""

    def __init__(self, network: RRDBNet) -> None:
        self.network = network
        self.trunk = FusedTrunk(network) if FusedTrunk.fits(network) else None

    def __call__(self, lr: Tensor, stack_blocks: tuple[int, ...], doublings: int, *, fused: bool) -> RRDBFeatures:
        return self.network.encode(lr, stack_blocks, doublings, self.trunk if fused else None)


def _encoder_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    if dtype == torch.bfloat16:
        return torch.float16 if device.type == "cuda" else torch.float32
    return dtype


def prepared(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """A copy of an encoder or a fusion network for inference; a fusion network still sums and returns float32.

    It is not to be changed: what it does on a GPU may be recorded.

    Args:
        network: on any device.
        device: of the copy.
        dtype: of its convolutions.
    """
    twin = copy.deepcopy(network).eval().requires_grad_(False).to(device, dtype)
    twin = twin.to(memory_format=layout_for(device))  # type: ignore[call-overload]
    replay.enlist(twin, device)
    return twin
