"""``srspace explore``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from srspace.cli import options
from srspace.cli.failures import EXIT_OK
from srspace.cli.grid import Grid, check_grid
from srspace.cli.options import IO, SAMPLING, argument, flag, option, takes
from srspace.config import AUTO_WEIGHTS, SamplingConfig
from srspace.errors import OutputError, UsageError

if TYPE_CHECKING:
    from srspace.report.explore import ExploreSettings


@dataclass(frozen=True)
class Options:
    """What ``srspace explore`` is told."""

    input: Annotated[Path, argument("INPUT", help="A picture.")]
    output: Annotated[
        Path | None,
        option(
            "--output", "-o", panel=IO, metavar="PATH", help="File or folder for the page.",
            default="INPUT_space.html beside the input",
        ),
    ] = None  # fmt: skip
    hr: Annotated[
        Path | None,
        option("--hr", panel=IO, metavar="FILE", help="The original, for metrics and the perception-distortion plane."),
    ] = None
    crop: Annotated[
        str | None,
        option(
            "--crop", panel=IO, metavar="WxH+X+Y", help="Show this part of the input, such as 256x256+0+0.",
            default="all, or the middle 512x512",
        ),
    ] = None  # fmt: skip
    overwrite: Annotated[bool, flag("--overwrite", panel=IO, help="Replace an existing page.")] = False
    grid: Grid = None
    quiet: options.NoProgress = False
    balances: Annotated[
        int, option("--balances", panel=SAMPLING, metavar="N", help="Pictures along the dial, from 5 to 9.")
    ] = 6
    samples: options.Samples = None
    tau: options.Tau = SamplingConfig.temperature
    seed: options.Seed = SamplingConfig.seed
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    tile: options.Tile = None
    max_memory: options.MaxMemory = None
    weights: options.AutoWeights = AUTO_WEIGHTS
    fusion: options.Fusion = None

    def settings(self) -> ExploreSettings:
        """The same, as the library takes it."""
        from srspace.report.explore import Crop, ExploreSettings

        return ExploreSettings(
            weights=self.weights,
            fusion=self.fusion,
            sampling=options.sampling(self),
            balances=self.balances,
            crop=None if self.crop is None else Crop.parse(self.crop),
            device=self.device,
            precision=self.precision,
        )

    def target(self) -> Path:
        """Where the page goes.

        Raises:
            UsageError: something is there already.
            OutputError: there is no such folder.
        """
        name = f"{self.input.stem}_space.html"
        path = self.output or self.input.with_name(name)
        path = path / name if path.is_dir() else path
        if path.exists() and not self.overwrite:
            raise UsageError(f"{path} exists; use --overwrite to replace it.")
        if not path.parent.is_dir():
            raise OutputError(f"{path} cannot be written: there is no folder {path.parent}.")
        return path


@takes(Options)
def explore(options: Options) -> int:
    """Show the SR space of a picture in one HTML page.

    The page opens from disk and works without a network: a divider between two pictures, a magnifier, the dial, every
    candidate, and a map of where the candidates differ.
    """
    from srspace.cli.output import message, named_progress
    from srspace.files import write_bytes
    from srspace.images import read_picture
    from srspace.report.explore import gather, load_upscaler, settled, to_html
    from srspace.report.grid import save_grid

    settings, target = options.settings(), options.target()
    check_grid(options.grid, [str(options.input)])
    picture = read_picture(options.input)
    hr = None if options.hr is None else read_picture(options.hr)
    with named_progress(quiet=options.quiet) as report:
        report("exploring: loading weights", 0.0)
        settings = settled(settings, picture)
        upscaler = load_upscaler(settings)
        space = gather(picture, upscaler, settings, name=options.input.name, hr=hr, progress=report)
        report("exploring: writing the page", 1.0)
        page = to_html(space).encode()
        write_bytes(target, page)
        if options.grid is not None:
            save_grid(space, options.grid)
    if space.crop is not None and settings.crop is None and not options.quiet:
        message(
            f"{options.input} is {picture.width}x{picture.height}; the page shows the part {space.crop}. "
            "Choose another one with --crop."
        )
    if not options.quiet:
        message(f"{options.input} -> {target} ({len(page) / 1e6:.1f} MB, {space.seconds:.1f} s)")
    return EXIT_OK
