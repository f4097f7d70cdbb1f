"""``srspace upscale``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from srspace.config import DEFAULT_WEIGHTS, SamplingConfig, parse_memory
from srspace.errors import EXIT_FAILED, EXIT_OK, SRSpaceError, UsageError

if TYPE_CHECKING:
    from srspace.cli.batch import Job
    from srspace.upscaler import Upscaler, UpscaleResult


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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int | None, typer.Option(help="Tile side in input pixels; 0 never tiles [from memory].")] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", help="Memory on the device, e.g. 4G [half of what is free].")
    ] = None,
    format: Annotated[str | None, typer.Option(help="png, tiff, webp, jpeg or avif [the input's].")] = None,
    suffix: Annotated[str | None, typer.Option(help="Added to result names [_x4].")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Descend into folders.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    save_samples: Annotated[
        Path | None, typer.Option("--save-samples", help="Also write every candidate, as PNG, into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> int:
    """Upscale pictures.

    Existing results are kept unless --overwrite. JSON goes to stdout, or to stderr when the picture does.
    """
    from srspace.cli.batch import plan
    from srspace.cli.output import progress_bar

    limit = None if max_memory is None else parse_memory(max_memory)
    sampling = SamplingConfig(temperature=tau, samples=samples, seed=seed, tile=tile, max_memory=limit)
    jobs = plan(inputs, output, recursive=recursive, suffix="_x4" if suffix is None else suffix, format=format)
    if jobs[0].target is None and sys.stdout.isatty():
        raise UsageError("a picture is not written to a terminal; redirect standard output or give -o.")
    from srspace.upscaler import Upscaler

    upscaler = Upscaler.load(weights, modes=(mode,), device=device, precision=precision)
    upscaler.check(mode, sampling)
    failed = 0
    with progress_bar(len(jobs), quiet=quiet or as_json) as (start, share):
        for job in jobs:
            start(Path(job.name).name)
            record: dict[str, Any] = {"input": job.name, "output": str(job.target) if job.target else "-"}
            try:
                if job.target is not None and job.target.exists() and not overwrite:
                    record["status"] = "kept"
                else:
                    result = _run(upscaler, job, mode, sampling, format, save_samples, share)
                    record |= {"status": "done", **_describe(result)}
            except SRSpaceError as error:
                failed += 1
                record |= {"status": "failed", "error": str(error)}
            _print(record, as_json=as_json, quiet=quiet)
    return EXIT_FAILED if failed else EXIT_OK


def _run(
    upscaler: Upscaler,
    job: Job,
    mode: str,
    sampling: SamplingConfig,
    format: str | None,
    save_samples: Path | None,
    share: Any,
) -> UpscaleResult:
    from srspace.images import encode_picture, format_of, read_picture, write_picture

    if job.target is not None and format is None:
        format_of(job.target)
    data = sys.stdin.buffer.read() if job.source is None else job.source
    picture = read_picture(data, name="standard input" if job.source is None else job.name)

    def keep(index: int, candidate: Any) -> None:
        if save_samples is not None:
            stem = "stdin" if job.source is None else job.source.stem
            write_picture(candidate, save_samples / f"{stem}_{index:03d}.png")

    result = upscaler.upscale(
        picture, mode=mode, sampling=sampling, progress=share, on_candidate=keep if save_samples else None
    )
    if job.target is None:
        sys.stdout.buffer.write(encode_picture(result.picture, format or "png"))
        sys.stdout.buffer.flush()
    else:
        write_picture(result.picture, job.target, format)
    return result


def _describe(result: UpscaleResult) -> dict[str, Any]:
    return {
        "mode": result.mode,
        "tau": result.sampling.temperature,
        "n": 0 if result.mode == "rrdb" else result.sampling.samples,
        "seed": result.sampling.seed,
        "width": result.picture.width,
        "height": result.picture.height,
        "seconds": round(result.seconds, 3),
        "redraws": [
            {"index": r.index, "tau": r.temperature, "attempts": r.attempts, "reason": r.reason} for r in result.redraws
        ],
    }


def _print(record: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    from srspace.cli.output import print_json

    if as_json:
        print_json(record, error=record["output"] == "-")
    elif record["status"] == "failed":
        print(f"srspace: {record['error']}", file=sys.stderr)
    elif not quiet:
        detail = f"{record['width']}x{record['height']}, {record['seconds']:.1f} s" if "width" in record else "kept"
        redrawn = f", {len(record['redraws'])} candidates redrawn" if record.get("redraws") else ""
        print(f"{record['input']} -> {record['output']} ({detail}{redrawn})", file=sys.stderr)
