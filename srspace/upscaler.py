"""The object that joins encoder, flow, sampling and collapse: pictures in, pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from srspace import collapse
from srspace.checkpoints import load_flow, load_fusion
from srspace.config import DEFAULT_WEIGHTS, MODES, SamplingConfig
from srspace.devices import pick_device, pick_precision
from srspace.errors import UsageError, WeightsError
from srspace.hub import choose_fusion, resolve_weights
from srspace.images import Picture, fill_transparent
from srspace.models import FusionNet, SRFlow
from srspace.resize import imresize
from srspace.sampling import Candidate, Redraw, Sampler, automatic_tile, plan_tiles

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
        fusion: Mapping[str, FusionNet] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        dtype = pick_precision(precision, self.device)
        self.precision = _PRECISION_NAMES[dtype]
        self.model = model.eval().set_subnet_dtype(dtype).to(self.device)
        if self.device.type in ("cpu", "cuda"):
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fusion = {mode: network.eval().to(self.device) for mode, network in (fusion or {}).items()}

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
        modes = tuple(modes)
        for mode in modes:
            _check_mode(mode)
        pick_precision(precision, pick_device(device))
        model = load_flow(resolve_weights(weights))
        chosen = {m: choose_fusion(weights, m, fusion) for m in modes if m.startswith("fusion")}
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
            mode: one of :data:`srspace.config.MODES`.
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
        redraws: list[Redraw] = []

        def finished(image: Tensor) -> Picture:
            return _picture(image, sr_alpha, picture)

        def candidates() -> Iterator[Tensor]:
            for candidate in Sampler(self.model, lr, sampling, progress=progress):
                self._note(candidate, redraws)
                if on_candidate is not None:
                    on_candidate(candidate.index, finished(candidate.image))
                yield candidate.image

        image = (
            self._regression(lr, sampling.tile, progress)
            if mode == "rrdb"
            else self._collapse(mode, candidates(), sampling.samples)
        )
        return UpscaleResult(finished(image), mode, sampling, tuple(redraws), time.perf_counter() - start)

    def _collapse(self, mode: str, candidates: Iterator[Tensor], count: int) -> Tensor:
        if mode == "median":
            return collapse.median(candidates, count)
        if mode in self.fusion and mode.startswith("fusion"):
            return collapse.fuse(self.fusion[mode], candidates, count)
        return collapse.mean(candidates)

    @staticmethod
    def _note(candidate: Candidate, redraws: list[Redraw]) -> None:
        if candidate.redraw is not None:
            redraws.append(candidate.redraw)

    @torch.no_grad()
    def _regression(self, lr: Tensor, tile: int | None, progress: Callable[[float], None] | None) -> Tensor:
        height, width = lr.shape[1:]
        side = automatic_tile(height, width, self.device) if tile is None else tile
        tiles = plan_tiles(height, width, side)
        out = torch.empty(3, height * self.scale, width * self.scale)
        for i, part in enumerate(tiles):
            part.put(self.model.encoder(part.cut(lr).to(self.device)[None])[0], out, self.scale)
            if progress is not None:
                progress((i + 1) / len(tiles))
        return out.clamp_(0, 1)


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise UsageError(f"the mode must be one of {', '.join(MODES)}, not {mode!r}.")


def _picture(image: Tensor, alpha: np.ndarray | None, source: Picture) -> Picture:
    rgb = image.numpy().transpose(1, 2, 0)
    if source.grey:
        rgb = np.repeat(rgb.mean(2, keepdims=True), 3, axis=2)
    return replace(source, rgb=np.ascontiguousarray(rgb, np.float32), alpha=alpha)
