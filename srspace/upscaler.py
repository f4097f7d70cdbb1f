"""The object that joins encoder, flow, sampling and collapse: pictures in, pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from srspace import collapse, modes
from srspace.checkpoints import load_flow, load_fusion
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.devices import pick_device, pick_precision
from srspace.errors import DeviceMemoryError, WeightsError
from srspace.hub import choose_fusion, resolve_weights
from srspace.images import Picture, fill_transparent
from srspace.models import Fusion, PreparedSRFlow, SRFlow, prepared
from srspace.resize import imresize
from srspace.sampling import Redraw, Sampler, Sink

__all__ = ["Redraw", "UpscaleResult", "Upscaler"]

_PRECISION_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class UpscaleResult:
    """An upscaled picture and how it came about.

    Attributes:
        picture: the result.
        mode: the mode used.
        sampling: the sampling settings used.
        redraws: candidates that were replaced because the flow's inverse had exploded.
        seconds: wall-clock time.
    """

    picture: Picture
    mode: str
    sampling: SamplingConfig
    redraws: tuple[Redraw, ...]
    seconds: float


class Upscaler:
    """Upscales pictures with one flow and its fusion networks.

    Args:
        model: the flow, in float32.
        fusion: fusion networks by mode.
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.
    """

    def __init__(
        self,
        model: SRFlow,
        fusion: Mapping[str, Fusion] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        dtype = pick_precision(precision, self.device)
        self.precision = _PRECISION_NAMES[dtype]
        self.model = model.eval().to(self.device)
        self.prepared = PreparedSRFlow(self.model, dtype)
        self.fusion = {mode: prepared(network, self.device, dtype) for mode, network in (fusion or {}).items()}

    @classmethod
    def load(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        modes: Iterable[str] = ("mean",),
        fusion: str | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> Upscaler:
        """Load weights by catalogue name, folder or ``hf://owner/repo[@revision]``.

        Args:
            weights: the flow's weights.
            modes: modes that will be used; the fusion networks that they need are loaded along.
            fusion: fusion network for those modes, named like ``weights`` (None: the catalogue's for ``weights``).
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.

        Raises:
            UsageError: a mode, device or precision is unknown.
            WeightsError: weights are missing, cannot be fetched or fail their checksum.
            CheckpointError: weights are damaged or of the wrong kind.
        """
        wanted = tuple(modes)
        for mode in wanted:
            _check_mode(mode)
        pick_precision(precision, pick_device(device))
        model = load_flow(resolve_weights(weights))
        chosen = {m: choose_fusion(weights, m, fusion) for m in wanted if m.startswith("fusion")}
        networks = {m: load_fusion(resolve_weights(name)) for m, name in chosen.items()}
        return cls(model, networks, device=device, precision=precision)

    @property
    def scale(self) -> int:
        return self.model.scale

    def check(self, mode: str, sampling: SamplingConfig) -> None:
        """Raise what :meth:`upscale` would raise about its settings, before any work.

        Raises:
            UsageError: the mode is unknown or does not go with the number of samples.
            WeightsError: the mode needs a fusion network that was not loaded.
        """
        _check_mode(mode)
        if mode.startswith("fusion"):
            if mode not in self.fusion:
                raise WeightsError(f"no fusion network for the mode {mode} was loaded with these weights.")
            collapse.check_fusion_count(sampling.samples, self.fusion[mode].config.samples)

    def upscale(
        self,
        picture: Picture,
        *,
        mode: str = "mean",
        sampling: SamplingConfig | None = None,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Picture], None] | None = None,
    ) -> UpscaleResult:
        """Upscale one picture, with its alpha, grey and colour profile kept.

        Args:
            picture: the input.
            mode: one of :func:`srspace.modes.every`.
            sampling: how candidates are drawn; the mode ``sample`` draws one, ``rrdb`` none.
            progress: called with the share done.
            on_candidate: called with every candidate's index and picture.

        Raises:
            UsageError: the settings do not go together.
        """
        sampling = sampling or SamplingConfig()
        if mode == "sample":
            sampling = replace(sampling, samples=1)
        self.check(mode, sampling)
        start = time.perf_counter()
        alpha = picture.alpha
        rgb = picture.rgb if alpha is None else fill_transparent(picture.rgb, alpha)
        lr = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
        sr_alpha = None if alpha is None else np.clip(imresize(alpha, self.scale), 0, 1)

        def finished(image: Tensor) -> Picture:
            return _picture(image, sr_alpha, picture)

        try:
            image, redraws = self.collapse(
                lr, mode=mode, sampling=sampling, progress=progress,
                on_candidate=None if on_candidate is None else lambda i, x: on_candidate(i, finished(x)),
            )  # fmt: skip
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceMemoryError(str(self.device)) from error
        return UpscaleResult(finished(image), mode, sampling, redraws, time.perf_counter() - start)

    def collapse(
        self,
        lr: Tensor,
        *,
        mode: str = "mean",
        sampling: SamplingConfig | None = None,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Tensor], None] | None = None,
    ) -> tuple[Tensor, tuple[Redraw, ...]]:
        """:meth:`upscale` between tensors.

        Args:
            lr: ``(3, h, w)`` float32 in [0, 1].
            mode: as of :meth:`upscale`.
            sampling: as of :meth:`upscale`.
            progress: as of :meth:`upscale`.
            on_candidate: called with every candidate's index and image, in order. Candidates are then gathered as
                whole pictures; without it they never leave the device.

        Returns:
            ``(3, scale * h, scale * w)`` float32 in [0, 1] on the CPU, and the candidates that were replaced.

        Raises:
            UsageError: the settings do not go together.
            ResourceError: the memory limit is too small.
        """
        sampling = sampling or SamplingConfig()
        self.check(mode, sampling)
        stacked = mode == "median" or mode.startswith("fusion")
        sampler = Sampler(self.prepared, lr, sampling, progress=progress, stacked=stacked)
        if mode == "rrdb":
            return sampler.regression(), ()
        if on_candidate is None:
            return sampler.collapse(self._sink(mode)), tuple(sampler.redraws)

        def candidates() -> Iterator[Tensor]:
            for candidate in sampler:
                on_candidate(candidate.index, candidate.image)
                yield candidate.image

        if mode == "median":
            image = collapse.median(candidates(), sampling.samples)
        elif mode.startswith("fusion"):
            image = collapse.fuse(self.fusion[mode], candidates(), sampling.samples)
        else:
            image = collapse.mean(candidates())
        return image, tuple(sampler.redraws)

    def _sink(self, mode: str) -> Callable[[int], Sink]:
        if mode == "median":
            return lambda count: collapse.StackSink(count, collapse.median_of)
        if mode.startswith("fusion"):
            return lambda count: collapse.StackSink(count, partial(collapse.fuse_stack, self.fusion[mode]))
        return collapse.MeanSink


def _check_mode(mode: str) -> None:
    modes.find(mode)


def _picture(image: Tensor, alpha: np.ndarray | None, source: Picture) -> Picture:
    rgb = image.numpy().transpose(1, 2, 0)
    if source.grey or source.neutral:
        rgb = np.repeat(rgb.mean(2, keepdims=True), 3, axis=2)
    return replace(source, rgb=np.ascontiguousarray(rgb, np.float32), alpha=alpha)
