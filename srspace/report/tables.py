"""Results as a table: what each cell says, which is best, and the table as CSV or Markdown."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

from srspace.benchmark.results import Results
from srspace.benchmark.rows import read_row
from srspace.metrics import describe

DASH = "-"


@dataclass(frozen=True)
class Cell:
    """A value as shown: ``rank`` is 1 for the best of its column, 2 for the second best, else 0."""

    text: str
    rank: int = 0


@dataclass(frozen=True)
class Table:
    """A table ready to be printed.

    Attributes:
        headings: titles with an arrow for the better direction, the row's title first.
        rows: label and cells.
        notes: what a reader must know: images, rules, what is left out.
    """

    headings: list[str]
    rows: list[tuple[str, list[Cell]]]
    notes: list[str]


def make_table(results: Results) -> Table:
    """Means over the images, best and second best marked as in the paper.

    Values are ranked as shown, so that rows which look the same share a rank. Costs are not ranked.
    """
    columns = [_column(results, metric) for metric in results.metrics]
    rows = [(label, [column[i] for column in columns]) for i, (_, label) in enumerate(results.rows)]
    return Table(["", *(heading(results, m) for m in results.metrics)], rows, _notes(results))


def without_empty_columns(table: Table) -> Table:
    """The table without columns that hold dashes only."""
    kept = [i for i in range(len(table.headings) - 1) if any(cells[i].text != DASH for _, cells in table.rows)]
    rows = [(label, [cells[i] for i in kept]) for label, cells in table.rows]
    return Table([table.headings[0], *(table.headings[i + 1] for i in kept)], rows, table.notes)


def heading(results: Results, metric: str) -> str:
    """A metric's title with its direction."""
    info = describe(metric)
    return info.heading(results.lpips_net) + {True: "\u2191", False: "\u2193", None: ""}[info.higher_is_better]


def to_csv(results: Results) -> str:
    """Full-precision means, a line per row; empty where there is no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "label", "images", *(results.key_of(m) for m in results.metrics)])
    for name, label in results.rows:
        means = [results.mean(name, metric) for metric in results.metrics]
        shown = ["" if mean is None else f"{mean:.6f}" for mean in means]
        writer.writerow([name, label, len(results.of_row(name)), *shown])
    return out.getvalue()


def to_markdown(results: Results) -> str:
    """The table in GitHub's Markdown: best bold, second best underlined."""
    table = make_table(results)
    marks = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}
    lines = [_markdown_row([table.headings[0] or "row", *table.headings[1:]])]
    lines.append("| --- |" + " ---: |" * len(results.metrics))
    for label, cells in table.rows:
        lines.append(_markdown_row([label, *(marks[cell.rank].format(cell.text) for cell in cells)]))
    return "\n".join([*lines, "", *(f"{note}  " for note in table.notes)]).rstrip() + "\n"


def shown(value: float | None, decimals: int) -> str:
    """A value as text, a dash for none."""
    if value is None:
        return DASH
    return f"{value:.{decimals}f}" if math.isfinite(value) else str(value)


def _column(results: Results, metric: str) -> list[Cell]:
    info = describe(metric)
    texts = [shown(results.mean(name, metric), info.decimals) for name, _ in results.rows]
    if info.higher_is_better is None:
        return [Cell(text) for text in texts]
    values = sorted({float(text) for text in texts if text != DASH}, reverse=info.higher_is_better)
    ranks = {value: rank for rank, value in enumerate(values[:2], start=1)} if len(values) > 1 else {}
    return [Cell(text, 0 if text == DASH else ranks.get(float(text), 0)) for text in texts]


def _notes(results: Results) -> list[str]:
    count = len(results.images)
    source = "LR made by MATLAB bicubic in 8 bits" if results.made_lr else "LR from files"
    notes = [
        f"{results.dataset}: {count} image{'s' if count != 1 else ''}, {results.scale}x, {source}; "
        f"weights {results.weights} in {results.precision} on {results.device}, seed {results.seed}",
        results.rules,
    ]
    single = {row.kind for name, label in results.rows if (row := read_row(name, label)).scored}
    notes += [f"{kind}: the average over candidates' scores, not the score of their average" for kind in sorted(single)]
    if "seconds" in results.metrics or "memory" in results.metrics:
        notes.append(
            "seconds: per image, of this row alone (encoder, candidates, merging); MiB: peak of the process (CUDA: of "
            "torch), all rows that share candidates together"
        )
    partial = [label for name, label in results.rows if len(results.of_row(name)) < count]
    if partial:
        notes.append(f"not on all images: {', '.join(partial)}")
    return notes + list(dict.fromkeys(results.missing.values()))


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
