"""The settings of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from srspace import modes
from srspace.config import AUTO_WEIGHTS, SamplingConfig
from srspace.errors import FewCandidatesError, NoRecordsError, UsageError
from srspace.images import format_named
from srspace.modes import Mode
from srspace.sizes import TargetSize

STYLES = ("grey", "map")
"""Ways to draw where candidates differ."""


@dataclass(frozen=True)
class BatchSettings:
    """How pictures are upscaled and where results go; it can be pickled, for other processes.

    Attributes:
        weights: the flow's weights: a catalogue name, a folder, or ``hf://owner/repo[@revision]``; or ``"auto"``: for
            each picture the family that suits it, see :mod:`srspace.families`. A family without the network that the
            mode needs is not chosen.
        fusion: the fusion network of a mode that needs one, named like ``weights`` (None: the catalogue's for
            ``weights``). Where weights are chosen, a network of the catalogue brings its own flow for all pictures.
        mode: how candidates are collapsed: a name of :func:`srspace.modes.every`, or a mode of your own (None: what
            :func:`srspace.hub.usual_mode` gives for the weights).
        parameters: numbers that the mode is adjusted by, by name; the others have the mode's defaults.
        sampling: how candidates are drawn.
        consistency: whether results are made to agree with their inputs (see :meth:`srspace.Upscaler.upscale`).
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; several of one kind, such as
            ``"cuda:0,cuda:1"``, or ``"cuda:all"``, share the pictures and, where there are fewer pictures than devices,
            each picture.
        engine: ``"local"``, or ``"ray"``: the machines of a Ray cluster, which all see the files.
        address: of the cluster, such as ``"auto"`` (None: one is started on this machine).
        workers: how many pictures are computed at a time in the cluster, each with weights of its own (None: one for
            each GPU or, without GPUs, for four cores).
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        output: a file (for one input file), a folder, ``"-"`` for standard output, or None: beside each input, and of
            standard input on standard output.
        size: of the results (None: as the networks enlarge).
        format: of the results: a name of :func:`srspace.images.writable` or a file name ending (None: as ``output``
            says, else the input's where it can be written, else PNG).
        suffix: added to the stem of a result's name (None: ``_x4``, after the scale of the weights, or after ``size``).
        recursive: whether folders inside folders are searched.
        overwrite: whether results and candidates that exist are replaced; otherwise they are kept.
        save_samples: a folder where every candidate is written, too, as PNG; or None.
        uncertainty: a file (for one input file) or a folder where a picture of the candidates' standard deviation is
            written, too, as PNG; or None.
        uncertainty_style: ``"grey"``: 16 bits, in which 65535 stands for a deviation of 0.5; or ``"map"``: in colours,
            with a legend.
        min_lr_psnr: a result that agrees less with its input, in dB, fails and is not written (None: none fails).
        strip: whether EXIF, XMP, IPTC, texts and the resolution are left out of results; how colours are meant stays.
        strip_gps: whether the place where a picture was taken is left out.
        first_frame: whether of an animation the first frame is upscaled alone.
        records: a file that a record of every picture is added to (see :mod:`srspace.batch.records`); or None.
        resume: whether pictures that this file tells to be done, with the same content and settings, are kept (None:
            if it exists).
        fail_fast: whether the first picture that fails ends the run.
        retries: how often reading, computing or writing is tried again where the disk or the memory failed, after a
            pause. A damaged picture is not tried again.

    Raises:
        UsageError: the mode, a parameter or the format is unknown, or settings do not go together.
    """

    weights: str = AUTO_WEIGHTS
    fusion: str | None = None
    mode: str | Mode | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    consistency: bool | None = None
    device: str = "auto"
    precision: str = "auto"
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    workers: int | None = None
    output: str | Path | None = None
    size: TargetSize | None = None
    format: str | None = None
    suffix: str | None = None
    recursive: bool = False
    overwrite: bool = False
    save_samples: str | Path | None = None
    uncertainty: str | Path | None = None
    uncertainty_style: str = "grey"
    min_lr_psnr: float | None = None
    strip: bool = False
    strip_gps: bool = False
    first_frame: bool = False
    records: str | Path | None = None
    resume: bool | None = None
    fail_fast: bool = False
    retries: int = 0

    def __post_init__(self) -> None:
        mode = self.known_mode
        mode.settings(self.parameters)
        if self.fusion is not None and mode.network is None:
            raise UsageError(f"the mode {mode.name} uses no fusion network.")
        if self.save_samples is not None and not mode.draws:
            raise UsageError(f"the mode {mode.name} draws no candidates that could be saved.")
        if self.uncertainty_style not in STYLES:
            raise UsageError(f"the style of uncertainty must be {' or '.join(STYLES)}, not {self.uncertainty_style!r}.")
        if self.uncertainty is not None and self.samples < 2:
            raise FewCandidatesError(mode.name, self.samples, fixed=mode.fixed)
        if self.min_lr_psnr is not None and not math.isfinite(self.min_lr_psnr):
            raise UsageError(f"the least LR-PSNR must be a number, not {self.min_lr_psnr}.")
        if self.format is not None:
            object.__setattr__(self, "format", format_named(self.format))
        if self.resume and self.records is None:
            raise NoRecordsError
        if self.engine not in ("local", "ray"):
            raise UsageError(f"the engine must be local or ray, not {self.engine!r}.")
        if self.engine == "local" and (self.address is not None or self.workers is not None):
            raise UsageError("an address and a number of workers go with the engine ray.")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"the number of workers must be positive, not {self.workers}.")
        if self.engine == "ray" and ("," in self.device or self.device == "cuda:all"):
            raise UsageError("with the engine ray, the cluster tells which devices there are; name a kind, or none.")
        if self.retries < 0:
            raise UsageError(f"the number of retries must not be negative, not {self.retries}.")

    def for_scale(self, scale: int) -> BatchSettings:
        """The same for networks of that scale: a size that they make anyway is none."""
        return replace(self, size=None) if self.size is not None and self.size.scale == scale else self

    def sharing_memory(self, count: int) -> BatchSettings:
        """The same for each of so many that share the memory that is allowed."""
        limit = self.sampling.max_memory
        if limit is None:
            return self
        return replace(self, sampling=replace(self.sampling, max_memory=limit // count))

    @property
    def samples(self) -> int:
        """N, the number of candidates that the mode draws of a picture."""
        return self.known_mode.count(self.sampling.samples)

    @property
    def known_mode(self) -> Mode:
        """The mode, as far as it is known without looking at weights."""
        return modes.find(modes.DEFAULT if self.mode is None else self.mode)
