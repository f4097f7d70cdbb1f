"""Results of any size: the networks' factor, once or several times, and a reduction to what was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from srspace.batch.shares import part
from srspace.errors import RestorationError
from srspace.images import Picture, resized
from srspace.sizes import TargetSize

if TYPE_CHECKING:
    from srspace.config import SamplingConfig
    from srspace.modes import Mode
    from srspace.sampling import Redraws
    from srspace.upscaler import Upscaler, UpscaleResult


_Runs = Callable[[int, list[Picture], Callable[[float], None] | None], "list[UpscaleResult]"]


class SizedRedraws:
    """Records of replaced candidates, one for each time that the networks are run over a picture."""

    def __init__(self, make: Callable[[], Redraws]) -> None:
        self._make, self._records = make, list[Any]()

    def at(self, index: int) -> Redraws:
        """The record of one run over the picture, from 0."""
        while len(self._records) <= index:
            self._records.append(self._make())
        return self._records[index]  # type: ignore[no-any-return]

    def stages(self) -> list[dict[int, int]]:
        """As of :class:`srspace.sampling.Redraws`, of each that replaced any."""
        return [stages for record in self._records if (stages := record.stages())]


class SizedUpscaler:
    """An upscaler whose results have the size that was asked for.

    Where the factor is larger than that of the networks, they are run again over their result, reduced to what the
    last time needs. Where it is below 1, the picture is reduced before, so that the work grows with the result.

    Args:
        upscaler: what enlarges.
        size: of the results.
    """

    def __init__(self, upscaler: Upscaler, size: TargetSize) -> None:
        self._upscaler, self._size = upscaler, size

    @classmethod
    def of(cls, upscaler: Upscaler, size: TargetSize | None) -> Upscaler:
        """The upscaler itself where no size is asked for; else one that has the methods that a batch calls."""
        return upscaler if size is None else cast("Upscaler", cls(upscaler, size))

    def redraws(self, mode: str | Mode | None = None, sampling: SamplingConfig | None = None) -> SizedRedraws:
        """As of :class:`srspace.upscaler.Upscaler`."""
        return SizedRedraws(lambda: self._upscaler.redraws(mode, sampling))

    def upscale(
        self,
        picture: Picture,
        *,
        progress: Callable[[float], None] | None = None,
        on_candidate: Callable[[int, Picture], None] | None = None,
        redraws: SizedRedraws | None = None,
        beside: Sequence[SizedUpscaler] = (),
        **settings: Any,
    ) -> UpscaleResult:
        """As of :class:`srspace.upscaler.Upscaler`.

        ``lr_psnr`` is that of the first time that the networks are run. Candidates are those of the last time.

        Raises:
            ImageError: the result would be too large for these networks.
            SRSpaceError: as of :class:`srspace.upscaler.Upscaler`.
        """

        def run(index: int, inputs: list[Picture], progress: Callable[[float], None] | None) -> list[UpscaleResult]:
            watched = self._reducing(on_candidate, self._target(picture)) if index == self._times(picture) - 1 else None
            shared = None if redraws is None else redraws.at(index)
            return [
                self._upscaler.upscale(
                    inputs[0], progress=progress, on_candidate=watched, redraws=shared,
                    beside=[other._upscaler for other in beside], **settings,
                )
            ]  # fmt: skip

        (result,) = self._run([picture], progress, run)
        return result

    def upscale_many(
        self, pictures: Sequence[Picture], *, progress: Callable[[float], None] | None = None, **settings: Any
    ) -> list[UpscaleResult]:
        """As of :class:`srspace.upscaler.Upscaler`; see :meth:`upscale`.

        Raises:
            ImageError: the results would be too large for these networks.
            SRSpaceError: as of :class:`srspace.upscaler.Upscaler`.
        """
        return self._run(
            pictures,
            progress,
            lambda index, inputs, report: self._upscaler.upscale_many(inputs, progress=report, **settings),
        )

    def at_a_time(self, height: int, width: int, **settings: Any) -> int:
        """As of :class:`srspace.upscaler.Upscaler`.

        Raises:
            SRSpaceError: as there.
        """
        target = self._size.of(width, height, "the picture")
        last_width, last_height = input_sizes((width, height), target, self._upscaler.scale)[-1]
        return self._upscaler.at_a_time(last_height, last_width, **settings)

    def _target(self, picture: Picture) -> tuple[int, int]:
        return result_size(self._size, picture, self._upscaler.scale, "the picture")

    def _times(self, picture: Picture) -> int:
        return len(input_sizes((picture.width, picture.height), self._target(picture), self._upscaler.scale))

    def _run(
        self, pictures: Sequence[Picture], progress: Callable[[float], None] | None, run: _Runs
    ) -> list[UpscaleResult]:
        """Run the networks as often as that takes over pictures of one size."""
        picture, target = pictures[0], self._target(pictures[0])
        inputs = input_sizes((picture.width, picture.height), target, self._upscaler.scale)
        pixels = [width * height for width, height in inputs]
        runs: list[list[UpscaleResult]] = []
        given = list(pictures)
        if inputs[0] != (picture.width, picture.height):
            # Colours that are not seen would come into view where they are averaged.
            given = [replace(picture, rgb=picture.filled) for picture in pictures]
        for index, size in enumerate(inputs):
            start, end = (sum(pixels[:count]) / sum(pixels) for count in (index, index + 1))
            runs.append(run(index, [self._resized(p, size) for p in given], part(progress, start, end)))
            given = [result.picture for result in runs[-1]]
        return [
            replace(
                results[-1],
                picture=self._resized(results[-1].picture, target),
                redraws=tuple(redraw for result in results for redraw in result.redraws),
                seconds=sum(result.seconds for result in results),
                lr_psnr=results[0].lr_psnr,
            )
            for results in zip(*runs, strict=True)
        ]

    def _reducing(
        self, on_candidate: Callable[[int, Picture], None] | None, target: tuple[int, int]
    ) -> Callable[[int, Picture], None] | None:
        if on_candidate is None:
            return None
        return lambda index, candidate: on_candidate(index, self._resized(candidate, target))

    def _resized(self, picture: Picture, size: tuple[int, int]) -> Picture:
        return resized(picture, *size, linear_light=self._size.linear_light)


def result_size(size: TargetSize | None, picture: Picture, scale: int, name: str) -> tuple[int, int]:
    """Width and height of a picture's result.

    Args:
        size: what was asked for (None: the networks' factor).
        picture: the input.
        scale: of the networks.
        name: what to call the picture in messages.

    Raises:
        ImageError: it would be too large for these networks.
    """
    if size is None:
        return picture.width * scale, picture.height * scale
    target = size.of(picture.width, picture.height, name)
    if scale == 1 and (target[0] > picture.width or target[1] > picture.height):
        raise RestorationError(name)
    return target


def input_sizes(size: tuple[int, int], target: tuple[int, int], scale: int) -> list[tuple[int, int]]:
    """Width and height of what the networks are given, each time that they are run.

    Args:
        size: of the picture.
        target: of the result.
        scale: of the networks.

    Raises:
        ValueError: they do not enlarge, and ``target`` is larger than the picture.
    """
    if target[0] <= size[0] and target[1] <= size[1]:
        return [target]
    if scale == 1:
        raise ValueError("networks of scale 1 do not enlarge")
    times = 1
    while any(side * scale**times < wanted for side, wanted in zip(size, target, strict=True)):
        times += 1
    sizes = [size]
    for left in range(times - 1, 0, -1):
        enlarged = zip(sizes[-1], target, strict=True)
        width, height = (min(side * scale, math.ceil(wanted / scale**left)) for side, wanted in enlarged)
        sizes.append((width, height))
    return sizes
