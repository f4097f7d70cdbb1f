"""Rows of a benchmark's table: ``bicubic``, ``sample@0.9``, ``mean:25``, ``fusion-lpips``, another model's file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srspace.config import SamplingConfig
from srspace.errors import UsageError

PLAIN = ("bicubic", "rrdb")
COLLAPSED = ("mean", "median", "fusion-l1", "fusion-lpips")
DEFAULT_ROWS = "bicubic,rrdb,sample@0.1,sample@0.5,sample@0.9,mean:5,mean:25,median:5,median:25,fusion-l1,fusion-lpips"
FUSION_SAMPLES = 10
_SYNTAX = re.compile(r"(?P<kind>[a-z][a-z0-9-]*?)(?::(?P<n>\d+))?(?:@(?P<tau>[0-9.]+))?")


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        kind: ``"bicubic"``, ``"rrdb"``, ``"sample"``, ``"mean"``, ``"median"``, ``"fusion-l1"``, ``"fusion-lpips"``
            or ``"external"``.
        samples: candidates used; of ``"sample"``, how many are scored and averaged.
        temperature: tau of the candidates; None without candidates.
        path: the model file of an external row.
        title: name of an external row.
    """

    kind: str
    samples: int = 0
    temperature: float | None = None
    path: Path | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """The whole row as a word; equal names mean equal methods."""
        if self.kind == "external":
            return f"compare:{self.title}"
        return self.kind if self.temperature is None else f"{self.kind}:{self.samples}@{self.temperature:g}"

    @property
    def label(self) -> str:
        """What a table calls it."""
        if self.kind == "external":
            return self.title
        if self.temperature is None:
            return self.kind
        if self.kind == "sample":
            return f"sample tau {self.temperature:g}"
        usual = self.kind.startswith("fusion") and self.samples == FUSION_SAMPLES
        label = self.kind if usual else f"{self.kind} {self.samples}"
        return label if self.temperature == SamplingConfig.temperature else f"{label} tau {self.temperature:g}"

    @property
    def sampled(self) -> bool:
        """Whether it needs candidates."""
        return self.temperature is not None


def parse_row(text: str, *, temperature: float, scored: int) -> Row:
    """Read one row.

    Args:
        text: ``KIND``, ``KIND:N``, ``KIND@TAU`` or ``KIND:N@TAU``.
        temperature: tau where the row names none.
        scored: how many candidates a ``sample`` row scores unless it says so.

    Raises:
        UsageError: there is no such row.
    """
    match = _SYNTAX.fullmatch(text)
    kind = match["kind"] if match else text
    if match is None or kind not in (*PLAIN, "sample", *COLLAPSED):
        raise UsageError(
            f"{text!r} is no row: use {', '.join((*PLAIN, 'sample', *COLLAPSED))}, with :N for the number of "
            "candidates and @TAU for their temperature (mean:25, sample@0.5)."
        )
    if kind in PLAIN:
        if match["n"] or match["tau"]:
            raise UsageError(f"{kind} draws no candidates, so {text!r} makes no sense.")
        return Row(kind)
    usual = {"sample": scored, "mean": 10, "median": 10}.get(kind, FUSION_SAMPLES)
    samples = int(match["n"]) if match["n"] else usual
    try:
        tau = float(match["tau"]) if match["tau"] else temperature
    except ValueError as error:
        raise UsageError(f"{match['tau']!r} in {text!r} is not a temperature.") from error
    SamplingConfig(temperature=tau, samples=samples)
    return Row(kind, samples, tau)


def parse_rows(text: str, *, temperature: float, scored: int) -> list[Row]:
    """Read a list of rows, separated by commas; ``paper`` stands for those of the paper's Table 1.

    Raises:
        UsageError: a row is unknown, or there is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    words = [w for word in words for w in (DEFAULT_ROWS.split(",") if word == "paper" else [word])]
    rows = [parse_row(word, temperature=temperature, scored=scored) for word in words]
    if not rows:
        raise UsageError("there is no row to compute.")
    return list(dict.fromkeys(rows))


def external_rows(paths: Iterable[Path]) -> list[Row]:
    """Rows for other models' files, called by their stems, or by folder and stem where two stems are the same."""
    paths = list(dict.fromkeys(paths))
    stems = [path.stem for path in paths]
    return [
        Row(
            "external", path=path, title=path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.stem}"
        )
        for path in paths
    ]
