"""``srspace bench``: the group of its commands."""

from __future__ import annotations

from srspace.cli.bench_compare import compare
from srspace.cli.bench_run import run
from srspace.cli.bench_speed import speed
from srspace.cli.commands import App, BenchGroup

app = App(
    cls=BenchGroup,
    subcommand_metavar="DATASET | COMMAND ...",
    help="Measure methods on a data set: 'srspace bench DATASET' is short for 'srspace bench run DATASET'.",
)
app.command("run")(run)
app.command("compare")(compare)
app.command("speed")(speed)
