"""Rows of a benchmark's table: ``bicubic``, a mode such as ``mean:25`` or ``sample@0.9``, another model's file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srspace import modes
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.modes import Mode
from srspace.suggestions import did_you_mean

Latents = Literal["independent", "antithetic"]

BICUBIC = "bicubic"
EXTERNAL = "external"
LATENTS = "latents"
INDEPENDENT: Latents = "independent"
SCORED = 10
"""Results scored and averaged by a row of a mode that draws a single candidate, unless the row says otherwise."""
_EXTERNAL_PREFIX = "compare:"
_SYNTAX = re.compile(r"(?P<kind>[^:@+]+)(?::(?P<n>\d+))?(?:@(?P<tau>[0-9.]+))?(?P<words>(?:\+[^+=]+=[^+=]*)*)")


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        kind: ``"bicubic"``, the name of a mode, or ``"external"``.
        samples: candidates used; of a mode that draws a single one, how many results are scored and averaged.
        temperature: tau of the candidates; None without candidates.
        parameters: the mode's parameters, all of them, by name and value.
        latents: how the candidates are drawn; see :class:`srspace.config.SamplingConfig`.
        path: the model file of an external row.
        title: name of an external row.
    """

    kind: str
    samples: int = 0
    temperature: float | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    latents: Latents = INDEPENDENT
    path: Path | None = None
    title: str = ""

    @property
    def mode(self) -> Mode | None:
        """The mode that it measures; None of bicubic and external rows."""
        return None if self.kind in (BICUBIC, EXTERNAL) else modes.find(self.kind)

    @property
    def name(self) -> str:
        """The whole row as a word, which :func:`parse_row` reads; equal names mean equal methods.

        >>> parse_row("mean", temperature=0.9, scored=10).name
        'mean:10@0.9'
        """
        if self.kind == EXTERNAL:
            return _EXTERNAL_PREFIX + self.title
        drawn = "" if self.temperature is None else f":{self.samples}@{self.temperature:g}"
        words = [f"{name}={value:.10g}" for name, value in self.parameters]
        # Independent latents go without saying only where they are the mode's own choice.
        if self.mode is not None and {self.latents, self.mode.latents} != {INDEPENDENT}:
            words.append(f"{LATENTS}={self.latents}")
        return "+".join((self.kind + drawn, *words))

    @property
    def label(self) -> str:
        """What a table calls it; what is usual is left out."""
        mode = self.mode
        if mode is None:
            return self.title or self.kind
        words = [self.kind]
        # A network has a number of candidates that it is usually given; a statistic has none.
        if mode.draws and not mode.single and not (mode.network and self.samples == mode.samples):
            words.append(str(self.samples))
        defaults = mode.settings({})
        words += [f"{name} {value:g}" for name, value in self.parameters if value != defaults[name]]
        if self.temperature is not None and (mode.single or self.temperature != SamplingConfig.temperature):
            words.append(f"tau {self.temperature:g}")
        if self.sampled and self.latents != mode.latents:
            words.append(self.latents)
        return " ".join(words)

    @property
    def sampled(self) -> bool:
        """Whether it needs candidates."""
        return self.temperature is not None

    @property
    def scored(self) -> int:
        """Over how many results its scores are averaged; 0 where it has one result."""
        return self.samples if self.mode is not None and self.mode.single else 0


def parse_row(text: str, *, temperature: float, scored: int) -> Row:
    """Read one row.

    Args:
        text: ``KIND``, then ``:N`` for the number of candidates, ``@TAU`` for their temperature,
            ``+PARAMETER=VALUE`` for each parameter of the mode and ``+latents=antithetic`` (or ``independent``) for
            how candidates are drawn; all but the kind may be left out.
        temperature: tau where the row names none.
        scored: how many results a mode that draws a single candidate is scored over unless the row says so.

    Raises:
        UsageError: there is no such row.
    """
    match = _SYNTAX.fullmatch(text)
    kind = match["kind"] if match else text
    known = (BICUBIC, *modes.every())
    if match is None or kind not in known:
        raise UsageError(
            f"{text!r} is not a row{did_you_mean(kind, known)}: use {', '.join(known)}, with :N for the number of "
            f"candidates, @TAU for their temperature and +PARAMETER=VALUE ({modes.PLAIN}:25@0.5)."
        )
    words = dict(part.split("=", 1) for part in match["words"].split("+")[1:])
    count, tau = match["n"], match["tau"]
    mode = None if kind == BICUBIC else modes.find(kind)
    if (mode is None or not mode.draws) and (count or tau or LATENTS in words):
        raise UsageError(f"{kind} draws no candidates, so {text!r} makes no sense.")
    if mode is None:
        if words:
            raise UsageError(f"{kind} has no parameters, so {text!r} makes no sense.")
        return Row(kind)
    latents = words.pop(LATENTS, mode.latents)
    given = {name: _number(value, text) for name, value in words.items()}
    parameters = tuple(mode.settings(given).items())
    if not mode.draws:
        return Row(kind, parameters=parameters)
    samples = _samples(mode, None if count is None else int(count), scored, text)
    drawn = SamplingConfig(  # for its checks
        temperature=temperature if tau is None else _number(tau, text),
        samples=samples,
        latents=latents,  # type: ignore[arg-type]
    )
    return Row(kind, samples, drawn.temperature, parameters, drawn.latents or mode.latents)


def parse_rows(text: str, *, temperature: float, scored: int) -> list[Row]:
    """Read a list of rows, separated by commas; ``paper`` stands for those of the paper's Table 1.

    Raises:
        UsageError: a row is unknown, or there is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    words = [w for word in words for w in (modes.TABLE_1.split(",") if word == "paper" else [word])]
    rows = [parse_row(word, temperature=temperature, scored=scored) for word in words]
    if not rows:
        raise UsageError("there is no row to compute.")
    return list(dict.fromkeys(rows))


def read_row(name: str, label: str) -> Row:
    """The row that results call so; one of a mode that is not known here is taken for an external one.

    Args:
        name: as :attr:`Row.name` gave it.
        label: as :attr:`Row.label` gave it.
    """
    try:
        return parse_row(name, temperature=SamplingConfig.temperature, scored=SCORED)
    except UsageError:
        return Row(EXTERNAL, title=label)


def external_rows(paths: Iterable[Path]) -> list[Row]:
    """Rows for other models' files, called by their stems, or by folder and stem where two stems are the same."""
    paths = list(dict.fromkeys(paths))
    stems = [path.stem for path in paths]
    return [
        Row(EXTERNAL, path=path, title=path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.stem}")
        for path in paths
    ]


def _samples(mode: Mode, wanted: int | None, scored: int, row: str) -> int:
    if mode.single:
        return scored if wanted is None else wanted
    samples = mode.count(wanted)
    if wanted not in (None, samples):
        raise UsageError(f"{mode.name} always draws {samples} candidates, so {row!r} makes no sense.")
    return samples


def _number(text: str, row: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{text!r} in {row!r} is not a number.") from error
