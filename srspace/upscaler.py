"""The object that joins encoder, flow, sampling and collapse: pictures in, pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srspace import modes
from srspace.assessment import Assessment
from srspace.checkpoints import load_flow, load_fusion
from srspace.collapse import Spool
from srspace.collapse.consistency import agreement, agreements, consistent
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.devices import PRECISION_NAMES, few_helpers, pick_device, pick_precision
from srspace.errors import DeviceMemoryError, UsageError, WeightsError
from srspace.external import ExternalModel, load_descriptor
from srspace.hub import check_served, choose_fusion, is_model_file, resolve_weights, usual_mode
from srspace.images import Picture
from srspace.models import DialFusion, Fusion, PreparedSRFlow, SRFlow, prepared
from srspace.modes import EXTERNAL, Mode, SinkMaker, usual
from srspace.resize import imresize
from srspace.sampling import GroupSampler, Plan, Redraw, Redraws, Station

__all__ = ["Redraw", "UpscaleResult", "Upscaler"]


@dataclass(frozen=True)
class UpscaleResult:
    """An upscaled picture and how it came about.

    Attributes:
        picture: the result.
        mode: name of the mode used.
        samples: candidates drawn; 0 where the mode draws none.
        sampling: the sampling settings used, with what the mode chose where they left a choice.
        redraws: candidates that were replaced because the flow's inverse had exploded.
        seconds: wall-clock time.
        parameters: the mode's parameters, by name.
        consistency: whether it was made to agree with the input (see :mod:`srspace.collapse.consistency`).
        lr_psnr: how well it agrees, in dB (see :func:`srspace.collapse.consistency.agreement`).
        weights: the family of weights that was chosen for the picture; None where weights were named.
        assessment: why they were chosen; likewise.
    """

    picture: Picture
    mode: str
    samples: int
    sampling: SamplingConfig
    redraws: tuple[Redraw, ...]
    seconds: float
    parameters: Mapping[str, float] = field(default_factory=dict)
    consistency: bool = False
    lr_psnr: float | None = None
    weights: str | None = None
    assessment: Assessment | None = None


class Upscaler:
    """Upscales pictures with one flow and its fusion networks, or with a model of another project.

    Several threads may use it at the same time, each for a picture of its own.

    Args:
        model: the flow, in float32; it is left as it is. Or a model of another project, prepared: then device and
            precision are those that it has.
        fusion: fusion networks by what the catalogue calls them (see :attr:`srspace.modes.Mode.network`).
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.
    """

    def __init__(
        self,
        model: SRFlow | ExternalModel,
        fusion: Mapping[str, Fusion | DialFusion] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.device = model.device if isinstance(model, ExternalModel) else pick_device(device)
        dtype = model.dtype if isinstance(model, ExternalModel) else pick_precision(precision, self.device)
        self.precision = PRECISION_NAMES[dtype]
        self.prepared = PreparedSRFlow(model, dtype, self.device) if isinstance(model, SRFlow) else model
        self.fusion = {kind: prepared(network, self.device, dtype) for kind, network in (fusion or {}).items()}

    @classmethod
    def load(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        modes: Iterable[str | Mode] | None = None,
        fusion: str | Mapping[str, str] | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> Upscaler:
        """Load weights by catalogue name, folder, ``hf://owner/repo[@revision]``, or file of another project's model.

        Args:
            weights: the flow's weights; or the file (see :func:`srspace.external.load_descriptor`).
            modes: modes that will be used; the fusion networks that they need are loaded along (None: what
                :func:`srspace.hub.usual_mode` gives for the weights).
            fusion: fusion network for those modes, named like ``weights``; or, for some of them, one by the kind that
                they need (see :attr:`srspace.modes.Mode.network`). Others get the catalogue's for ``weights``.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.

        Raises:
            UsageError: a mode, device or precision is unknown.
            WeightsError: weights are missing, cannot be fetched or fail their checksum.
            CheckpointError: weights are damaged or of the wrong kind.
        """
        if modes is None:
            modes = [usual_mode(weights, fusion if isinstance(fusion, str) else None)]
        wanted = [_find(mode) for mode in modes]
        for mode in wanted:
            check_served(weights, mode)
        kinds = dict.fromkeys(mode.network for mode in wanted if mode.network is not None)
        where = pick_device(device)
        dtype = pick_precision(precision, where)
        if is_model_file(weights):
            return cls(ExternalModel(load_descriptor(Path(weights)), dtype, where))
        with few_helpers(where):
            model = load_flow(resolve_weights(weights))
            named = fusion if isinstance(fusion, Mapping) else dict.fromkeys(kinds, fusion)
            chosen = {kind: choose_fusion(weights, kind, named.get(kind)) for kind in kinds}
            networks = {kind: load_fusion(resolve_weights(name)) for kind, name in chosen.items()}
            return cls(model, networks, device=device, precision=precision)

    @property
    def scale(self) -> int:
        return self.prepared.scale

    @property
    def flow(self) -> PreparedSRFlow:
        """The flow, prepared.

        Raises:
            UsageError: it is a model of another project.
        """
        if isinstance(self.prepared, ExternalModel):
            raise UsageError("these weights are a model of another project, not a flow.")
        return self.prepared

    def check(self, mode: str | Mode, sampling: SamplingConfig | None = None, **parameters: float) -> None:
        """Raise what :meth:`upscale` would raise about its settings, before any work.

        Raises:
            UsageError: the mode is unknown, or does not go with the number of samples or the parameters.
            WeightsError: the mode needs a fusion network that was not loaded.
        """
        mode = _find(mode)
        self._check(mode, mode.count(_resolved(mode, sampling).samples), parameters)

    def redraws(self, mode: str | Mode | None = None, sampling: SamplingConfig | None = None) -> Redraws:
        """A record of replaced candidates, still empty, for :meth:`upscale` to share between frames."""
        return Redraws.of(_resolved(self._mode(mode), sampling))

    def upscale(
        self,
        picture: Picture,
        *,
        mode: str | Mode | None = None,
        sampling: SamplingConfig | None = None,
        consistency: bool | None = None,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Picture], None] | None = None,
        redraws: Redraws | None = None,
        beside: Sequence[Upscaler] = (),
        **parameters: float,
    ) -> UpscaleResult:
        """Upscale one picture, with its alpha, grey and colour profile kept.

        Args:
            picture: the input.
            mode: a mode, or the name of one of :func:`srspace.modes.every` (None: what :func:`srspace.modes.usual`
                gives for the networks that were loaded).
            sampling: how candidates are drawn.
            consistency: make the result agree with the input: its bicubic reduction is then the input. That suits
                input that came about so, and nothing else (None: as far as it was measured to help with the mode's
                network).
            progress: called with the share done.
            on_candidate: called with every candidate's index and picture, in order, once all are final. Candidates
                are then gathered as whole pictures, in memory or in a temporary file; otherwise they never leave the
                device.
            redraws: shared by the frames of an animation, so that the same candidates are replaced in all of them
                (see :meth:`redraws`). One replaced later than in the first frame makes the frames before it differ.
            beside: upscalers of the same weights on other devices of the same kind, which take tiles of the picture or,
                where there are fewer tiles than devices, candidates. Pixels are those of one device. On a CPU, each has
                the memory that ``sampling`` allows.
            **parameters: the mode's (see :attr:`srspace.modes.Mode.parameters`).

        Raises:
            UsageError: the settings do not go together.
            WeightsError: the mode needs a fusion network that was not loaded.
            ResourceError: the memory, or the limit on it, is too small.
        """
        (result,) = self._upscale(
            [picture], mode, sampling, consistency, progress, parameters,
            on_candidate=on_candidate, redraws=redraws, beside=beside,
        )  # fmt: skip
        return result

    def upscale_many(
        self,
        pictures: Sequence[Picture],
        *,
        mode: str | Mode | None = None,
        sampling: SamplingConfig | None = None,
        consistency: bool | None = None,
        progress: Callable[[float], None] | None = None,
        **parameters: float,
    ) -> list[UpscaleResult]:
        """Upscale pictures of one size, several at a time where one alone would leave the device idle.

        The results are those that :meth:`upscale` gives for each, to rounding.

        Args:
            pictures: the inputs.
            mode: as of :meth:`upscale`.
            sampling: as of :meth:`upscale`.
            consistency: as of :meth:`upscale`.
            progress: as of :meth:`upscale`.
            **parameters: as of :meth:`upscale`.

        Returns:
            A result for each; ``seconds`` is its share of the time.

        Raises:
            ValueError: sizes differ.
            UsageError: the settings do not go together.
            WeightsError: the mode needs a fusion network that was not loaded.
            ResourceError: the memory, or the limit on it, is too small.
        """
        return self._upscale(pictures, mode, sampling, consistency, progress, parameters) if pictures else []

    def at_a_time(
        self,
        height: int,
        width: int,
        *,
        mode: str | Mode | None = None,
        sampling: SamplingConfig | None = None,
        most: int = 64,
        **parameters: float,
    ) -> int:
        """How many pictures :meth:`upscale_many` would work on at a time.

        Args:
            height: of the inputs, in pixels.
            width: likewise.
            mode: as of :meth:`upscale`.
            sampling: as of :meth:`upscale`.
            most: how many there are.
            **parameters: as of :meth:`upscale`.

        Raises:
            UsageError: the settings do not go together.
            WeightsError: the mode needs a fusion network that was not loaded.
            ResourceError: the limit on the memory is too small.
        """
        mode = self._mode(mode)
        sampling = _resolved(mode, sampling)
        if self._external:  # most take one picture at a time
            return 1
        maker = self.maker(mode, mode.count(sampling.samples), parameters)
        return Plan.make(self.prepared, height, width, sampling, [maker], most).images

    def _upscale(
        self,
        pictures: Sequence[Picture],
        mode: str | Mode | None,
        sampling: SamplingConfig | None,
        consistency: bool | None,
        progress: Callable[[float], None] | None,
        parameters: Mapping[str, float],
        *,
        on_candidate: Callable[[int, Picture], None] | None = None,
        redraws: Redraws | None = None,
        beside: Sequence[Upscaler] = (),
    ) -> list[UpscaleResult]:
        start = time.perf_counter()
        mode = self._mode(mode)
        sampling = _resolved(mode, sampling)
        lrs = [torch.from_numpy(np.ascontiguousarray(picture.filled.transpose(2, 0, 1))) for picture in pictures]
        alphas = [None if p.alpha is None else np.clip(imresize(p.alpha, self.scale), 0, 1) for p in pictures]
        watch = None
        if on_candidate is not None:
            (picture,), (alpha,) = pictures, alphas

            def watch(index: int, image: Tensor) -> None:
                on_candidate(index, _picture(image, alpha, picture))

        found = self._collapse(
            lrs, mode, sampling, consistency, progress, parameters, on_candidate=watch, redraws=redraws, beside=beside
        )
        consistent = self._consistent(mode, consistency, parameters)
        results = [
            UpscaleResult(
                picture=_picture(image, alpha, picture), mode=mode.name, samples=mode.count(sampling.samples),
                sampling=sampling, redraws=replaced, seconds=0.0, parameters=mode.settings(parameters),
                consistency=consistent, lr_psnr=agreement(image, lr, self.device) if agrees is None else agrees,
            )
            for picture, alpha, lr, (image, replaced, agrees) in zip(pictures, alphas, lrs, found, strict=True)
        ]  # fmt: skip
        seconds = (time.perf_counter() - start) / len(pictures)
        return [replace(result, seconds=seconds) for result in results]

    def collapse(
        self,
        lr: Tensor,
        *,
        mode: str | Mode | None = None,
        sampling: SamplingConfig | None = None,
        consistency: bool | None = None,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Tensor], None] | None = None,
        redraws: Redraws | None = None,
        beside: Sequence[Upscaler] = (),
        **parameters: float,
    ) -> tuple[Tensor, tuple[Redraw, ...]]:
        """:meth:`upscale` between tensors.

        Args:
            lr: ``(3, h, w)`` float32 in [0, 1].
            mode: as of :meth:`upscale`.
            sampling: as of :meth:`upscale`.
            consistency: as of :meth:`upscale`.
            progress: as of :meth:`upscale`.
            on_candidate: as of :meth:`upscale`; called with every candidate's index and image ``(3, H, W)``.
            redraws: as of :meth:`upscale`.
            beside: as of :meth:`upscale`.
            **parameters: as of :meth:`upscale`.

        Returns:
            ``(3, scale * h, scale * w)`` float32 in [0, 1] on the CPU, and the candidates that were replaced.

        Raises:
            UsageError: the settings do not go together.
            WeightsError: the mode needs a fusion network that was not loaded.
            ResourceError: the memory, or the limit on it, is too small.
        """
        mode = self._mode(mode)
        ((image, replaced, _),) = self._collapse(
            [lr], mode, _resolved(mode, sampling), consistency, progress, parameters,
            on_candidate=on_candidate, redraws=redraws, beside=beside,
        )  # fmt: skip
        return image, replaced

    def _collapse(
        self,
        lrs: Sequence[Tensor],
        mode: Mode,
        sampling: SamplingConfig,
        consistency: bool | None,
        progress: Callable[[float], None] | None,
        parameters: Mapping[str, float],
        *,
        on_candidate: Callable[[int, Tensor], None] | None,
        redraws: Redraws | None,
        beside: Sequence[Upscaler],
    ) -> list[tuple[Tensor, tuple[Redraw, ...], float | None]]:
        """Of each image the result, the candidates that were replaced, and how well it agrees with its input.

        Of images that were divided, that is None. Only the candidates of a single one are watched.
        """
        count = mode.count(sampling.samples)
        for other in beside:
            if (other.scale, other.precision, other.device.type) != (self.scale, self.precision, self.device.type):
                raise UsageError("a picture is shared by upscalers of one kind of device, precision and weights alone.")
        upscalers = [self, *beside]
        makers = [[upscaler.maker(mode, count, parameters, consistency=consistency)] for upscaler in upscalers]
        shared = None if redraws is None else [redraws]
        whole = self._whole and sampling.tile is None
        sampling = replace(sampling, tile=0) if whole else sampling
        sampler = GroupSampler(self.prepared, lrs, sampling, progress=progress, redraws=shared, measure=agreements)
        with ExitStack() as opened:
            if on_candidate is not None:
                height, width = (side * self.scale for side in lrs[0].shape[1:])
                limit = sampling.max_memory if self.device.type == "cpu" else None
                spool = opened.enter_context(Spool(count, height, width, limit=limit))
                for own in makers:
                    own.append(spool.maker)
            first, *others = (Station(u.prepared, own) for u, own in zip(upscalers, makers, strict=True))
            images = [image for image, *_ in sampler.collapse_all(first.makers, others)]
            if whole and sampler.plan is not None and len(sampler.plan.tiles) > 1:
                raise DeviceMemoryError(str(self.device))  # by tiles alone, which would show
            if on_candidate is not None:
                for index, candidate in enumerate(spool):
                    on_candidate(index, candidate)
        return [
            (image, tuple(replaced), sampler.measured.get(number))
            for number, (image, replaced) in enumerate(zip(images, sampler.redraws, strict=True))
        ]

    def maker(
        self, mode: Mode, count: int, parameters: Mapping[str, float], *, consistency: bool | None = None
    ) -> SinkMaker:
        """What makes the mode's picture, for a sampler that is to make several pictures of the same candidates.

        Args:
            mode: the mode.
            count: how many candidates it takes (see :meth:`srspace.modes.Mode.count`).
            parameters: the mode's, by name.
            consistency: as of :meth:`upscale`.

        Raises:
            UsageError: the settings do not go together.
            WeightsError: the mode needs a fusion network that was not loaded.
        """
        self._check(mode, count, parameters)
        maker = mode.sink(count, self._network(mode), **parameters)
        return consistent(maker) if self._consistent(mode, consistency, parameters) else maker

    def _mode(self, named: str | Mode | None) -> Mode:
        if named is None:
            return EXTERNAL if self._external else usual(self.fusion)
        return _find(named)

    @property
    def _external(self) -> bool:
        return isinstance(self.prepared, ExternalModel)

    @property
    def _whole(self) -> bool:
        """Whether the model should see whole pictures, unless the user says otherwise."""
        return isinstance(self.prepared, ExternalModel) and not self.prepared.tiled

    def _check(self, mode: Mode, count: int, parameters: Mapping[str, float]) -> None:
        mode.settings(parameters)
        if mode.external != self._external:
            needed = "a model of another project" if mode.external else "a flow"
            raise UsageError(f"the mode {mode.name} needs {needed}, which these weights are not.")
        if mode.network is None:
            return
        if mode.network not in self.fusion:
            raise WeightsError(f"no fusion network for the mode {mode.name} was loaded with these weights.")
        self.fusion[mode.network].check(count)

    def _consistent(self, mode: Mode, wanted: bool | None, parameters: Mapping[str, float]) -> bool:
        if wanted is not None:
            return wanted
        network = self._network(mode)
        return network is not None and network.consistent(mode.settings(parameters))

    def _network(self, mode: Mode) -> Fusion | DialFusion | None:
        return None if mode.network is None else self.fusion[mode.network]


# The keyword ``modes`` of Upscaler.load hides the module there.
_find = modes.find


def _resolved(mode: Mode, sampling: SamplingConfig | None) -> SamplingConfig:
    """Settings with nothing left to the mode; one that draws no candidates has no number of them."""
    sampling = sampling or SamplingConfig()
    return replace(sampling, samples=mode.count(sampling.samples) or None, latents=sampling.latents or mode.latents)


def _picture(image: Tensor, alpha: np.ndarray | None, source: Picture) -> Picture:
    rgb = image.numpy().transpose(1, 2, 0)
    if source.achromatic:
        rgb = np.repeat(rgb.mean(2, keepdims=True), 3, axis=2)
    return replace(source, rgb=np.ascontiguousarray(rgb, np.float32), alpha=alpha)
