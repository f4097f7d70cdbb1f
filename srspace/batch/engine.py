"""What happens to a picture: it is read, upscaled and written.

The three stages know nothing of each other but what one hands to the next, so that whoever drives them may let them
overlap or run elsewhere; :mod:`srspace.batch.pipeline` does.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from srspace.batch.candidates import check_candidates
from srspace.batch.deciding import Decision
from srspace.batch.gates import check_agreement
from srspace.batch.inputs import exists
from srspace.batch.outcome import Done, Kept, Made, Source
from srspace.batch.plan import Job, kept_result
from srspace.batch.records import Recorded, Records
from srspace.batch.settings import BatchSettings
from srspace.batch.shares import part
from srspace.batch.sizing import result_size
from srspace.batch.uncertainty import Candidates, check_uncertainty, write_uncertainty
from srspace.errors import AnimationError, ResourceError
from srspace.files import check_writable, remove_leftovers, write_bytes
from srspace.images import (
    MAX_PIXELS,
    Encoded,
    Metadata,
    Picture,
    check_side,
    encoded,
    read_bytes,
    read_header,
    read_picture,
    write_picture,
)
from srspace.images.animation import Animation, AnimationWriter, Steady, holds_animations, read_animation
from srspace.provenance import Provenance, source_key
from srspace.streams import standard_input, write_standard_output

if TYPE_CHECKING:
    from srspace.sampling import Redraws
    from srspace.upscaler import Upscaler, UpscaleResult


@dataclass(frozen=True)
class Decoded:
    """A picture or an animation that was read, with what its result is made with, and the mark for it."""

    job: Job
    picture: Picture | Animation
    made: Made
    mark: Provenance
    source: Source

    @property
    def still(self) -> Picture:
        """The picture, or the first frame of the animation."""
        return self.picture if isinstance(self.picture, Picture) else self.picture.first

    @property
    def alone(self) -> bool:
        """Whether it can be computed together with no other: an animation, or one whose candidates are looked at."""
        return isinstance(self.picture, Animation) or self.job.looks_at_candidates


@dataclass(frozen=True)
class Computed:
    """A picture that was upscaled, or an animation that was upscaled and encoded.

    Attributes:
        job: what was to be done.
        result: the result; of an animation, that of its last frame, with what holds for all.
        made: with what it is made.
        mark: for the result.
        source: what it is made from.
        file: of an animation, whose frames do not fit into memory together.
        frames: how many there are.
        uncertainty: a map of where the candidates differ, where one is wanted.
    """

    job: Job
    result: UpscaleResult
    made: Made
    mark: Provenance
    source: Source
    file: Encoded | None = None
    frames: int = 1
    uncertainty: Picture | None = None


class Reader:
    """The first stage: decodes a picture, decides on its weights, and makes sure that its result can be written.

    Attributes:
        scale: of the weights.
    """

    def __init__(self, settings: BatchSettings, decide: Decision, scale: int) -> None:
        self._settings, self._decide, self.scale = settings, decide, scale
        self._cleared: set[Path] = set()
        self._writable: set[Path] = set()

    def __call__(self, job: Job, records: Records | Recorded | None = None) -> Decoded | Kept:
        """Read one picture.

        Args:
            job: what is to be done with it.
            records: tell whether that was done; then its content is read, and nothing decoded.

        Raises:
            ImageError: the input is not a picture that can be read.
            OutputError: the result or a candidate cannot be written.
            WeightsError: weights are to be chosen, and those that choose are missing or damaged.
        """
        name = "standard input" if job.source is None else job.input
        data = read_bytes(job.source or standard_input(), name)
        content = hashlib.sha256(data).hexdigest()
        if records is not None and job.target is not None and self._is_done(job, job.target, content, records):
            return kept_result(job, read_header(job.target), self._decide.made, Source(content))
        decoded = self.decode(job, data, name, content=content)
        if job.target is not None:
            check_writable(job.target, self._writable)
            self._clear(job.target.parent)
        if job.candidates is not None:
            check_candidates(job.candidates, self._settings.samples, decoded.mark, overwrite=self._settings.overwrite)
        if job.uncertainty is not None:
            check_uncertainty(job.uncertainty, self._settings, decoded.mark)
        return decoded

    def decode(
        self, job: Job, data: bytes, name: str, *, content: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> Decoded:
        """Decode a picture that was read.

        Args:
            job: what is to be done with it.
            data: the file.
            name: what to call it in messages.
            content: its hexadecimal SHA-256, where that is known.
            max_pixels: refuse larger ones.

        Raises:
            ImageError: it cannot be read.
            OutputError: the format holds no result of that size.
            WeightsError: weights are to be chosen, and those that choose are missing or damaged.
        """
        picture = self._decoded(data, name, job, max_pixels)
        first = picture if isinstance(picture, Picture) else picture.first
        width, height = result_size(self._settings.size, first, self.scale, name)
        check_side(job.format, width, height)
        made = self._decide(first).sized(first.width, width)
        content = content or hashlib.sha256(data).hexdigest()
        mark = Provenance(source_key(None if job.piped else job.source), made.for_mark() | {"input_sha256": content})
        return Decoded(job, picture, made, mark, Source(content, first.width, first.height))

    def _is_done(self, job: Job, target: Path, content: str, records: Records | Recorded) -> bool:
        """Whether the result is there already: of this content, or not this program's to replace."""
        if records.done(job.output, content, self._decide.made.settings_sha256) and exists(target):
            return True
        return job.there and not records.wrote(job.output)

    def _decoded(self, data: bytes, name: str, job: Job, max_pixels: int) -> Picture | Animation:
        animation = None if self._settings.first_frame else read_animation(data, name, max_pixels)
        if animation is None:
            return self._described(read_picture(data, name=name, max_pixels=max_pixels))
        if job.looks_at_candidates:
            raise AnimationError(f"{name} is an animation; candidates are looked at of stills alone.")
        first = self._described(animation.first)
        if holds_animations(job.format):
            return replace(animation, first=first)
        said = f"of its {len(animation)} frames the first was taken, because {job.format} holds no animations."
        return replace(first, warnings=(*first.warnings, said))

    def _described(self, picture: Picture) -> Picture:
        if self._settings.strip:
            return replace(picture, metadata=Metadata())
        return replace(picture, metadata=picture.metadata.without_gps()) if self._settings.strip_gps else picture

    def _clear(self, folder: Path) -> None:
        if folder not in self._cleared:
            remove_leftovers(folder)
            self._cleared.add(folder)


class Computer:
    """The second stage: upscales a picture, and writes its candidates while they come.

    Args:
        settings: of the run.
        upscaler: gives what upscales a picture.
        device: where that is, for the record; or None.
    """

    def __init__(
        self, settings: BatchSettings, upscaler: Callable[[Made], Upscaler], device: str | None = None
    ) -> None:
        self._settings, self._upscaler, self._device = settings, upscaler, device

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one of NVIDIA's."""
        return self._device is not None and self._device.startswith("cuda")

    @property
    def overlaps(self) -> bool:
        """Whether another group of pictures can be prepared while one is computed.

        On a CPU that gains nothing, and where memory is limited, there is none left for it.
        """
        return self.on_gpu and self._settings.sampling.max_memory is None

    def __call__(
        self,
        decoded: Decoded,
        progress: Callable[[float], None] | None = None,
        beside: Sequence[Computer] = (),
    ) -> Computed:
        """Upscale one picture, or the frames of one animation, with the same latents.

        Args:
            decoded: of the first stage.
            progress: called with the share done.
            beside: others of the run, which take a part of the work.

        Raises:
            ResourceError: there is not enough memory.
            OutputError: a candidate cannot be written.
            WeightsError: weights that were chosen are missing, cannot be fetched or fail their checksum.
            CheckpointError: they are damaged.
        """
        if isinstance(decoded.picture, Animation):
            return self._animation(decoded, decoded.picture, progress, beside)
        candidates = Candidates(decoded.job, self._settings, decoded.mark)
        watch = candidates.take if decoded.job.looks_at_candidates else None
        result = self._upscaled(decoded, decoded.picture, progress, beside, on_candidate=watch)
        return Computed(
            decoded.job, result, self._made(decoded, beside), decoded.mark, decoded.source,
            uncertainty=candidates.uncertainty(),
        )  # fmt: skip

    def alike(self, one: Decoded, other: Decoded) -> bool:
        """Whether two pictures can be computed together: stills of one size, with the same weights."""
        if one is other:
            return True
        if one.alone or other.alone:
            return False
        first, second = ((d.still.height, d.still.width, d.made.weights, d.made.fusion) for d in (one, other))
        return first == second

    def at_a_time(self, decoded: Decoded, most: int) -> int:
        """How many pictures like this one it is worth while to compute together, of ``most`` that there are.

        Raises:
            WeightsError: weights that were chosen are missing, cannot be fetched or fail their checksum.
            CheckpointError: they are damaged.
        """
        upscaler, settings = self._upscaler(decoded.made), self._settings
        try:
            return upscaler.at_a_time(
                decoded.still.height, decoded.still.width, mode=settings.mode, sampling=settings.sampling, most=most,
                **settings.parameters,
            )  # fmt: skip
        except ResourceError:  # the picture itself will tell
            return 1

    def upscale_many(self, group: Sequence[Decoded], progress: Callable[[float], None] | None = None) -> list[Computed]:
        """Upscale pictures that are alike.

        Raises:
            SRSpaceError: as for one picture.
        """
        results = self._upscaler(group[0].made).upscale_many(
            [decoded.still for decoded in group],
            mode=self._settings.mode,
            sampling=self._settings.sampling,
            consistency=self._settings.consistency,
            progress=progress,
            **self._settings.parameters,
        )
        return [
            Computed(decoded.job, result, self._made(decoded), decoded.mark, decoded.source)
            for decoded, result in zip(group, results, strict=True)
        ]

    def _made(self, decoded: Decoded, beside: Sequence[Computer] = ()) -> Made:
        made = decoded.made
        device = ",".join(c._device for c in (self, *beside) if c._device is not None)
        return made if device in ("", made.device) else replace(made, device=device)

    def _animation(
        self,
        decoded: Decoded,
        animation: Animation,
        progress: Callable[[float], None] | None,
        beside: Sequence[Computer],
    ) -> Computed:
        upscaler = self._upscaler(decoded.made)
        redraws, start = upscaler.redraws(self._settings.mode, self._settings.sampling), time.perf_counter()
        # Frames that were made before some candidate was replaced would flicker; then all are made again.
        while (computed := self._frames(decoded, animation, redraws, progress, beside)) is None:
            pass
        return replace(computed, result=replace(computed.result, seconds=time.perf_counter() - start))

    def _frames(
        self,
        decoded: Decoded,
        animation: Animation,
        redraws: Redraws,
        progress: Callable[[float], None] | None,
        beside: Sequence[Computer],
    ) -> Computed | None:
        """All frames in a file; None where a candidate was replaced after the first of them."""
        steady, agreement = Steady(), []
        with AnimationWriter(decoded.job.format, animation.timing, decoded.mark) as writer:
            for number, frame in enumerate(animation.frames()):
                share = part(progress, number / len(animation), (number + 1) / len(animation))
                result = self._upscaled(decoded, frame, share, beside, redraws=redraws)
                agreement.append(result.lr_psnr)
                if number == 0:
                    stages = redraws.stages()
                if redraws.stages() == stages:
                    writer.add(steady(result.picture))
            if redraws.stages() != stages:
                return None
            file = writer.finish()
        file = replace(file, warnings=(*animation.first.warnings, *file.warnings))
        result = replace(result, lr_psnr=min((value for value in agreement if value is not None), default=None))
        made = self._made(decoded, beside)
        return Computed(decoded.job, result, made, decoded.mark, decoded.source, file, len(animation))

    def _upscaled(
        self,
        decoded: Decoded,
        picture: Picture,
        progress: Callable[[float], None] | None,
        beside: Sequence[Computer],
        *,
        redraws: Redraws | None = None,
        on_candidate: Callable[[int, Picture], None] | None = None,
    ) -> UpscaleResult:
        settings = self._settings
        return self._upscaler(decoded.made).upscale(
            picture,
            mode=settings.mode,
            sampling=settings.sampling,
            consistency=settings.consistency,
            progress=progress,
            on_candidate=on_candidate,
            redraws=redraws,
            beside=[computer._upscaler(decoded.made) for computer in beside],
            **settings.parameters,
        )


class Writer:
    """The third stage: encodes a result and writes it whole or not at all, if it is good enough."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings

    def __call__(self, computed: Computed) -> Done:
        """Write one result.

        Raises:
            OutputError: it cannot be written.
            AgreementError: it agrees too little with its input.
        """
        job, result = computed.job, computed.result
        check_agreement(job.input, result, self._settings.min_lr_psnr)
        if computed.uncertainty is not None:
            write_uncertainty(computed.uncertainty, job, self._settings, computed.mark)
        if job.target is not None and computed.file is None:
            warnings = write_picture(result.picture, job.target, job.format, provenance=computed.mark)
            warnings = (*result.picture.warnings, *warnings)
        else:
            warnings = self._write_file(computed)
        return outcome_of(computed, warnings)

    def _write_file(self, computed: Computed) -> tuple[str, ...]:
        file = file_of(computed)
        if computed.job.target is None:
            write_standard_output(file.data)
        else:
            write_bytes(computed.job.target, file.data)
        return file.warnings


def outcome_of(computed: Computed, warnings: tuple[str, ...]) -> Done:
    """The outcome of a picture whose result was written, with what is to be said."""
    job, result = computed.job, computed.result
    return Done(
        job.input, job.output, computed.made, result.picture.width, result.picture.height, result.seconds,
        result.redraws, result.consistency, result.lr_psnr, warnings, computed.frames, source=computed.source,
    )  # fmt: skip


def file_of(computed: Computed) -> Encoded:
    """The file of a result, with everything that is to be said."""
    if computed.file is not None:
        return computed.file
    picture = computed.result.picture
    file = encoded(picture, computed.job.format, provenance=computed.mark)
    return replace(file, warnings=(*picture.warnings, *file.warnings))
