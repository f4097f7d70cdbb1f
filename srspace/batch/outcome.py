"""What became of a picture, for programs to match on and for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from srspace.assessment import Assessment
from srspace.config import AUTO_WEIGHTS
from srspace.errors import SRSpaceError
from srspace.families import FAMILIES

if TYPE_CHECKING:
    from srspace.batch.settings import BatchSettings
    from srspace.provenance import Provenance
    from srspace.upscaler import Redraw


_USUAL = "independent"
_LATER = (
    "latents",
    "parameters",
    "consistency",
    "assessment",
    "size",
    "linear_light",
    "weights_sha256",
    "fusion_sha256",
    "settings_sha256",
)  # keys that came later than the others, and follow them in a record


@dataclass(frozen=True)
class Source:
    """The file that a result is made from.

    Attributes:
        sha256: hexadecimal SHA-256 of its content.
        width: of the picture, in pixels; None where it could not be read.
        height: likewise.
    """

    sha256: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Made:
    """With what a result is made; None stands for what is not known or does not apply.

    Attributes:
        weights: the flow's weights, as they were named or chosen; ``"auto"`` of a picture that no weights were chosen
            for, because it was not read.
        fusion: the fusion network's, in a mode that uses one.
        mode: name of the mode.
        tau: temperature of the candidates; None in a mode that draws none.
        n: number of candidates, 0 in such a mode.
        seed: of the candidates; None in such a mode.
        scale: the upscaling factor; None before a picture is read whose size decides on it.
        device: where it was computed; not known of a result that was found.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        latents: ``"independent"`` or ``"antithetic"`` (see :class:`srspace.config.SamplingConfig`); None in a mode
            that draws no candidates.
        parameters: all numbers that the mode was adjusted by.
        consistency: whether the result was to agree with the input; None where that was left to the weights.
        assessment: why the weights were chosen; None where they were named.
        size: the size that was asked for, such as ``"1920w"``; None where networks enlarge as they do.
        linear_light: whether that was reduced to in linear light.
        weights_sha256: hexadecimal SHA-256 of the flow's file; None where no weights were chosen.
        fusion_sha256: likewise, of the fusion network's.
        settings_sha256: of everything asked for that a result depends on (see
            :func:`srspace.batch.records.fingerprint`).
    """

    weights: str | None = None
    fusion: str | None = None
    mode: str | None = None
    tau: float | None = None
    n: int | None = None
    seed: int | None = None
    scale: float | None = None
    device: str | None = None
    precision: str | None = None
    latents: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    consistency: bool | None = None
    assessment: Assessment | None = None
    size: str | None = None
    linear_light: bool = False
    weights_sha256: str | None = None
    fusion_sha256: str | None = None
    settings_sha256: str | None = None

    @classmethod
    def by(
        cls, settings: BatchSettings, *, fusion: str | None, scale: int, device: str | None, precision: str | None
    ) -> Made:
        """What ``settings`` come to with these weights on this device."""
        mode, sampling, size = settings.known_mode, settings.sampling, settings.size
        return cls(
            weights=settings.weights,
            fusion=fusion,
            mode=mode.name,
            tau=sampling.temperature if mode.draws else None,
            n=settings.samples,
            seed=sampling.seed if mode.draws else None,
            scale=scale if size is None else size.scale,
            device=device,
            precision=precision,
            latents=(sampling.latents or mode.latents) if mode.draws else None,
            parameters=mode.settings(settings.parameters),
            consistency=settings.consistency,
            size=None if size is None else str(size),
            linear_light=size is not None and size.linear_light,
        )

    def sized(self, before: int, after: int) -> Made:
        """The same, with the factor from the width of a picture to that of its result."""
        return replace(self, scale=round(after / before, 4)) if self.scale is None else self

    @classmethod
    def told_by(cls, mark: Provenance | None) -> Made:
        """What a result's mark tells; nothing of a file without one."""
        told = {} if mark is None else {"latents": _USUAL if mark.settings.get("n") else None} | mark.settings
        told["assessment"] = Assessment.from_dict(told.get("assessment"))
        return cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told and f.name != "device"})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return self._plain | {"parameters": dict(self.parameters)}

    def for_mark(self) -> dict[str, Any]:
        """What a mark tells: folders by their names alone, so that it gives no path away."""
        return {key: dict(value) if key == "parameters" else value for key, value in self._marked.items()}

    @cached_property  # for all pictures of a run, this is often one and the same
    def _plain(self) -> dict[str, Any]:
        return asdict(self) | {"assessment": self.assessment and self.assessment.to_dict()}

    @cached_property
    def _marked(self) -> dict[str, Any]:
        told = self.to_dict()
        for key in ("device", "weights_sha256", "fusion_sha256", "settings_sha256"):
            del told[key]
        if told["latents"] in (None, _USUAL):  # so that marks of earlier versions stay equal
            del told["latents"]
        for key in ("parameters", "assessment", "size", "linear_light"):  # likewise
            if not told[key]:
                del told[key]
        if told["consistency"] is None:  # likewise
            del told["consistency"]
        for key in ("weights", "fusion"):
            if told[key] is not None and Path(told[key]).exists():
                told[key] = Path(told[key]).name
        return told


@dataclass(frozen=True)
class Outcome:
    """What became of one file: :class:`Done`, :class:`Kept`, :class:`Skipped`, :class:`LeftOut` or :class:`Failed`.

    Attributes:
        input: the picture's path as typed or found, ``-`` for standard input.
        output: where its result is or should be, ``-`` for standard output; None where none was wanted.
        made: with what the result is made.
        source: the input, where it was read.
    """

    status: ClassVar[str]

    input: str
    output: str | None
    made: Made
    source: Source | None = field(default=None, kw_only=True)

    def record(self) -> dict[str, Any]:
        """The outcome as JSON can hold it; every kind has the same keys, and what does not apply is None."""
        made = self.made.to_dict()
        return (
            {"input": self.input, "output": self.output, "status": self.status, "error": None}
            | {key: made.pop(key) for key in tuple(made) if key not in _LATER}
            | {"width": None, "height": None, "frames": None, "seconds": None, "redraws": [], "warnings": []}
            | made
            | {"lr_psnr": None}
            | {f"input_{f.name}": getattr(self.source, f.name, None) for f in fields(Source)}
        )


@dataclass(frozen=True)
class Done(Outcome):
    """Upscaled and written.

    Attributes:
        width: of the result, in pixels.
        height: likewise.
        seconds: of computing, wall-clock time.
        redraws: candidates that were drawn again because the flow's inverse had exploded.
        consistency: whether the result was made to agree with the input.
        lr_psnr: how well it does, in dB (see :func:`srspace.collapse.consistency.agreement`); of an animation, the
            least of its frames.
        warnings: sentences about what of the input could not be kept.
        frames: how many there are; 1 in a still.
    """

    status = "done"

    width: int
    height: int
    seconds: float
    redraws: tuple[Redraw, ...] = ()
    consistency: bool = False
    lr_psnr: float | None = None
    warnings: tuple[str, ...] = ()
    frames: int = 1

    def record(self) -> dict[str, Any]:
        """As of :class:`Outcome`."""
        redraws = [
            {"index": r.index, "tau": r.temperature, "attempts": r.attempts, "reason": r.reason} for r in self.redraws
        ]
        size = {"width": self.width, "height": self.height, "frames": self.frames}
        told = {"seconds": round(self.seconds, 3), "redraws": redraws, "warnings": list(self.warnings)}
        agreement = {"consistency": self.consistency, "lr_psnr": self.lr_psnr and round(self.lr_psnr, 2)}
        return super().record() | size | told | agreement


@dataclass(frozen=True)
class Kept(Outcome):
    """The result was there; ``made`` is what its mark tells.

    Attributes:
        width: of the result, in pixels; None when it is no picture that can be recognized.
        height: likewise.
        asked: with what it would have been made in this run.
    """

    status = "kept"

    width: int | None
    height: int | None
    asked: Made

    @property
    def differs(self) -> bool:
        """Whether its mark tells of other settings than were asked for; device and precision do not count.

        Where weights are chosen for each picture, those of a family are not other ones.
        """
        found, asked = self.made.for_mark(), self.asked.for_mark()
        ignored = {"precision", "assessment"}
        if self.asked.scale is None:  # the size tells it
            ignored.add("scale")
        if asked["weights"] == AUTO_WEIGHTS and found["weights"] in {family.weights for family in FAMILIES}:
            ignored |= {"weights", "fusion"}
        return self.made != Made() and any(found.get(k) != asked.get(k) for k in {*found, *asked} - ignored)

    def record(self) -> dict[str, Any]:
        """As of :class:`Outcome`."""
        return super().record() | {"width": self.width, "height": self.height}


@dataclass(frozen=True)
class Skipped(Outcome):
    """Left out, because it is the result of an earlier run.

    Attributes:
        reason: how that was told.
    """

    status = "skipped"

    reason: str

    def record(self) -> dict[str, Any]:
        """As of :class:`Outcome`; ``error`` holds the reason."""
        return super().record() | {"error": self.reason}


@dataclass(frozen=True)
class LeftOut(Outcome):
    """Found in a folder, with a name like that of a picture, and of a kind that is not read.

    Attributes:
        reason: of which kind, or what is missing to read it.
    """

    status = "left_out"

    reason: str

    def record(self) -> dict[str, Any]:
        """As of :class:`Outcome`; ``error`` holds the reason."""
        return super().record() | {"error": self.reason}


@dataclass(frozen=True)
class Failed(Outcome):
    """Nothing was written.

    Attributes:
        error: why; anything but an :class:`srspace.errors.SRSpaceError` is a fault of the program or its libraries.
    """

    status = "failed"

    error: Exception

    def record(self) -> dict[str, Any]:
        """As of :class:`Outcome`."""
        known = isinstance(self.error, SRSpaceError)
        return super().record() | {"error": str(self.error) if known else f"unexpected {self.error!r}"}
