"""``srspace upscale``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from srspace.cli.failures import EXIT_FAILED, EXIT_OK
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import UsageError


def upscale(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders, or - for standard input.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="File, folder, or - for standard output [beside the input].")
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", "-m", help="mean, median, fusion-l1, fusion-lpips, sample or rrdb.")
    ] = "mean",
    tau: Annotated[float, typer.Option("--tau", "-t", help="Temperature of the candidates.")] = 0.9,
    samples: Annotated[int, typer.Option("--samples", "-n", help="N, candidates per picture.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the candidates.")] = 0,
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Catalogue name, folder or hf://owner/repo[@revision].")
    ] = DEFAULT_WEIGHTS,
    fusion: Annotated[
        str | None, typer.Option("--fusion", help="Fusion network, named like --weights [the one of the weights].")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int | None, typer.Option(help="Tile side in input pixels; 0 never tiles [from memory].")] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", help="Memory on the device, e.g. 4G [half of what is free].")
    ] = None,
    format: Annotated[str | None, typer.Option(help="png, tiff, webp, jpeg or avif [the input's].")] = None,
    suffix: Annotated[str | None, typer.Option(help="Added to result names [_x4 with 4x weights].")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Descend into folders.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    save_samples: Annotated[
        Path | None, typer.Option("--save-samples", help="Also write every candidate, as PNG, into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> int:
    """Upscale pictures.

    Existing results are kept unless --overwrite, and earlier results found among the inputs are not upscaled again.
    JSON goes to stdout, or to stderr when the picture does.
    """
    from srspace.cli.batch import find_inputs, format_named, plan
    from srspace.cli.output import message, progress_bar
    from srspace.hub import choose_fusion, weights_scale

    limit = None if max_memory is None else parse_memory(max_memory)
    sampling = SamplingConfig(temperature=tau, samples=samples, seed=seed, tile=tile, max_memory=limit)
    _check_mode(mode, fusion, save_samples)
    if mode == "sample":
        sampling = replace(sampling, samples=1)
    format = None if format is None else format_named(format)
    found = find_inputs(inputs, recursive=recursive)
    scale = weights_scale(weights)
    fusion = choose_fusion(weights, mode, fusion) if mode.startswith("fusion") else None
    planned = plan(
        found,
        output,
        suffix=f"_x{scale}" if suffix is None else suffix,
        format=format,
        save_samples=save_samples,
        samples=sampling.samples or 0,
    )
    if planned.jobs[0].target is None and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("a picture is not written to a terminal; redirect standard output or give -o.")
    from srspace.cli.run import Run
    from srspace.upscaler import Upscaler

    upscaler = Upscaler.load(weights, modes=(mode,), fusion=fusion, device=device, precision=precision)
    upscaler.check(mode, sampling)
    run = Run(upscaler, mode, sampling, weights, fusion, format, overwrite)
    failed = 0
    for path, reason in planned.skipped:
        _print(run.record(str(path), None) | {"status": "skipped", "error": reason}, as_json=as_json, quiet=quiet)
    with progress_bar(len(planned.jobs), quiet=quiet or as_json) as (start, share):
        for job in planned.jobs:
            start(Path(job.name).name)
            record = run.attempt(job, share)
            failed += record["status"] == "failed"
            _print(record, as_json=as_json, quiet=quiet)
    if failed and len(planned.jobs) > 1 and not quiet and not as_json:
        message(f"{failed} of {len(planned.jobs)} pictures failed.")
    return EXIT_FAILED if failed else EXIT_OK


def _check_mode(mode: str, fusion: str | None, save_samples: Path | None) -> None:
    from srspace import modes

    modes.find(mode)
    if fusion is not None and not mode.startswith("fusion"):
        raise UsageError(f"--fusion goes with the fusion modes, not with {mode}.")
    if save_samples is not None and mode == "rrdb":
        raise UsageError("the mode rrdb draws no candidates that --save-samples could write.")
    if save_samples is not None and save_samples.exists() and not save_samples.is_dir():
        raise UsageError(f"{save_samples} is a file; --save-samples takes a folder.")


def _print(record: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    from srspace.cli.batch import STDIO
    from srspace.cli.output import message, print_json

    if as_json:
        print_json(record, error=record["output"] == STDIO)
    elif record["status"] == "failed":
        message(f"srspace: {record['error']}")
    elif quiet:
        return
    elif record["status"] == "skipped":
        message(f"{record['input']} skipped: {record['error']}; name it alone to upscale it again.")
    else:
        size = "" if record["width"] is None else f"{record['width']}x{record['height']}"
        took = f"{size}, {record['seconds']:.1f} s" if record["status"] == "done" else f"kept, {size or 'unreadable'}"
        redrawn = f", {len(record['redraws'])} candidates redrawn" if record["redraws"] else ""
        message(f"{record['input']} -> {record['output']} ({took}{redrawn})")
