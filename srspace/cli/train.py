"""``srspace train``: encoder, flow and fusion networks."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from srspace.config import DEFAULT_WEIGHTS, FlowConfig, FusionConfig, RRDBConfig, TrainConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srspace.data.patches import PatchPool

app = typer.Typer(no_args_is_help=True, help="Train an encoder, a flow or a fusion network.")

Data = Annotated[Path, typer.Option("--data", help="Folder of HR training pictures, searched recursively.")]
Val = Annotated[Path | None, typer.Option("--val", help="Folder of held-out pictures for validation.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder; an interrupted run there is resumed.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="JSON or TOML file with training settings; flags win over it.")
]
Iterations = Annotated[int | None, typer.Option(help=f"Iterations [default: {TrainConfig.iterations}].")]
Batch = Annotated[int | None, typer.Option("--batch-size", help=f"Patches a step [default: {TrainConfig.batch_size}].")]
Patch = Annotated[int | None, typer.Option(help=f"Side of an HR patch in pixels [default: {TrainConfig.patch}].")]
Rate = Annotated[
    float | None, typer.Option("--learning-rate", help=f"Adam's initial rate [default: {TrainConfig.learning_rate}].")
]
Schedule = Annotated[str | None, typer.Option(help="cosine, steps or constant [default: cosine].")]
TimeLimit = Annotated[float | None, typer.Option(help="Stop and save after so many seconds.")]
Seed = Annotated[int | None, typer.Option(help="Seed of patches and noise.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Tile = Annotated[int, typer.Option(help="Pictures are cut into tiles of this side before training.")]
Compile = Annotated[bool, typer.Option("--compile", help="Use torch.compile (a minute at the start).")]
Fresh = Annotated[bool, typer.Option("--restart", help="Ignore the state of an interrupted run.")]


@app.command()
def encoder(
    data: Data,
    out: Out,
    val: Val = None,
    start: Annotated[str | None, typer.Option("--from", help="Weights to start from.")] = None,
    blocks: Annotated[int, typer.Option("--nb", help="Trunk blocks of a fresh encoder.")] = RRDBConfig.nb,
    scale: Annotated[int, typer.Option(help="Upscaling factor of a fresh encoder.")] = RRDBConfig.scale,
    config: Config = None,
    iterations: Iterations = None,
    batch_size: Batch = None,
    patch: Patch = None,
    learning_rate: Rate = None,
    schedule: Schedule = None,
    time_limit: TimeLimit = None,
    seed: Seed = None,
    device: Device = "auto",
    tile: Tile = 480,
    compile: Compile = False,
    restart: Fresh = False,
) -> None:
    """Train an RRDB encoder with L1."""
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    from srspace.checkpoints import load_encoder
    from srspace.devices import pick_device
    from srspace.hub import resolve_weights
    from srspace.models import RRDBNet
    from srspace.training.encoder import train_encoder

    where = pick_device(device)
    network = load_encoder(resolve_weights(start)) if start else RRDBNet(RRDBConfig(scale=scale, nb=blocks))
    pool, validation = _data(data, val, network.config.scale, where, tile, settings.patch)
    train_encoder(
        network.to(where),
        pool,
        settings,
        out,
        validation=validation,
        compile=compile,
        resume=not restart,
        report=_report,
    )
    _done(out)


@app.command()
def flow(
    data: Data,
    out: Out,
    val: Val = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Flow weights to go on from; without it, a fresh flow.")
    ] = None,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Weights whose encoder a fresh flow is built on.")
    ] = DEFAULT_WEIGHTS,
    steps: Annotated[int, typer.Option("--steps", help="K, steps per level of a fresh flow.")] = FlowConfig.steps,
    hidden: Annotated[
        int, typer.Option("--hidden-channels", help="Width of a fresh flow's subnets.")
    ] = FlowConfig.hidden_channels,
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of the noise on HR patches, 0..255 [default: 4/sqrt(3)].")
    ] = None,
    train_encoder: Annotated[bool, typer.Option("--train-encoder", help="Train the encoder along.")] = False,
    config: Config = None,
    iterations: Iterations = None,
    batch_size: Batch = None,
    patch: Patch = None,
    learning_rate: Rate = None,
    schedule: Schedule = None,
    time_limit: TimeLimit = None,
    seed: Seed = None,
    device: Device = "auto",
    tile: Tile = 480,
    compile: Compile = False,
    restart: Fresh = False,
) -> None:
    """Train a flow by likelihood on a frozen encoder."""
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    if noise is not None:
        settings = replace(settings, noise=noise)
    from srspace.checkpoints import load_encoder, load_flow
    from srspace.devices import pick_device
    from srspace.hub import resolve_weights
    from srspace.layouts import usual_blocks
    from srspace.models import SRFlow
    from srspace.training.flow import train_flow

    where = pick_device(device)
    if start:
        model = load_flow(resolve_weights(start))
    else:
        base = load_encoder(resolve_weights(encoder))
        sizes = FlowConfig(
            scale=base.config.scale,
            levels=base.config.scale.bit_length() - 1,
            steps=steps,
            hidden_channels=hidden,
            stack_blocks=usual_blocks(base.config.nb, min(4, base.config.nb)),
        )
        model = SRFlow(base.config, sizes)
        model.encoder.load_state_dict(base.state_dict())
    pool, validation = _data(data, val, model.scale, where, tile, settings.patch)
    train_flow(
        model.to(where),
        pool,
        settings,
        out,
        validation=validation,
        train_encoder=train_encoder,
        initialize=start is None,
        compile=compile,
        resume=not restart,
        report=_report,
    )
    _done(out)


@app.command()
def fusion(
    data: Data,
    out: Out,
    loss: Annotated[str, typer.Option(help="l1 (fidelity) or lpips (natural looks).")] = "l1",
    val: Val = None,
    weights: Annotated[str, typer.Option(help="Flow whose candidates are merged.")] = DEFAULT_WEIGHTS,
    samples: Annotated[int, typer.Option("--samples", "-n", help="Candidates in a stack.")] = FusionConfig.samples,
    temperature: Annotated[
        list[float] | None, typer.Option("--tau", "-t", help="Temperature of the candidates; may be repeated [0.9].")
    ] = None,
    patches: Annotated[int, typer.Option(help="Patches sampled before training starts.")] = 1024,
    lpips_net: Annotated[str, typer.Option(help="Backbone of the LPIPS loss: alex, squeeze or vgg.")] = "alex",
    judge: Annotated[str | None, typer.Option(help="Backbone of the validation figure [the loss's].")] = None,
    pixel_weight: Annotated[float, typer.Option(help="Weight of an L1 term beside LPIPS.")] = 0.0,
    config: Config = None,
    iterations: Iterations = None,
    batch_size: Batch = None,
    patch: Patch = None,
    learning_rate: Rate = None,
    schedule: Schedule = None,
    time_limit: TimeLimit = None,
    seed: Seed = None,
    device: Device = "auto",
    tile: Tile = 480,
    restart: Fresh = False,
) -> None:
    """Train a fusion network on candidates of a fixed flow."""
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    if loss not in ("l1", "lpips"):
        raise UsageError(f"the loss must be l1 or lpips, not {loss!r}.")
    for net in (lpips_net, judge or "alex"):
        if net not in ("alex", "squeeze", "vgg"):
            raise UsageError(f"an LPIPS backbone is alex, squeeze or vgg, not {net!r}.")
    from srspace.checkpoints import load_flow
    from srspace.data.patches import PatchPool
    from srspace.devices import pick_device, pick_precision
    from srspace.hub import resolve_weights
    from srspace.models import FusionNet
    from srspace.training.fusion import draw_candidates, train_fusion

    where = pick_device(device)
    model = load_flow(resolve_weights(weights)).to(where).set_subnet_dtype(pick_precision("auto", where))
    pool, validation = _data(data, val, model.scale, where, tile, settings.patch)
    taus = tuple(temperature or (0.9,))
    stacks = draw_candidates(model, pool, patches=patches, samples=2 * samples, patch=settings.patch, temperatures=taus)
    held_out = None
    if validation is not None:
        crops = PatchPool(*((x * 255).round().byte() for x in validation))
        held_out = draw_candidates(model, crops, patches=len(crops), samples=samples, patch=crops.hr.shape[-1])
    train_fusion(
        FusionNet(FusionConfig(samples=samples)).to(where),
        stacks,
        settings,
        out,
        loss=_literal(loss),
        backbone=_literal(lpips_net),
        judge=None if judge is None else _literal(judge),
        pixel_weight=pixel_weight,
        validation=held_out,
        resume=not restart,
        extra={"scale": model.scale, "loss": loss},
        report=_report,
    )
    _done(out)


def _settings(path: Path | None, *flags: int | float | str | None) -> TrainConfig:
    names = ("iterations", "batch_size", "patch", "learning_rate", "schedule", "time_limit", "seed")
    values: dict[str, Any] = _read_settings(path) if path else {}
    values |= {name: flag for name, flag in zip(names, flags, strict=True) if flag is not None}
    return TrainConfig.from_dict(values)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is neither valid JSON nor TOML.") from error
    known = {f.name for f in fields(TrainConfig)}
    if not isinstance(values, dict) or set(values) - known:
        raise UsageError(f"{path} may only set {', '.join(sorted(known))}.")
    return values


def _data(
    data: Path, val: Path | None, scale: int, device: torch.device, tile: int, patch: int
) -> tuple[PatchPool, tuple[Tensor, Tensor] | None]:
    from srspace.data.patches import centre_crops, find_pictures, load_pool

    if patch % scale or tile % scale or patch > tile:
        raise UsageError(f"patch ({patch}) and tile ({tile}) must be multiples of {scale}, the tile the larger.")
    pool = load_pool(data, scale=scale, device=device, tile=tile)
    _console().print(f"{len(pool)} tiles of {tile}x{tile} pixels on {device}")
    if val is None:
        return pool, None
    return pool, centre_crops(find_pictures(val), side=min(320, tile) // scale * scale, scale=scale, device=device)


def _literal(value: str) -> Any:
    """Narrow a checked string for mypy; Typer has no Literal options in all supported versions."""
    checked: Literal["l1", "lpips", "alex", "squeeze", "vgg"] | str = value
    return checked


def _report(record: dict[str, Any]) -> None:
    parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items()]
    _console().print("  ".join(parts), highlight=False, soft_wrap=True)


def _done(out: Path) -> None:
    _console().print(f"saved {out}")


def _console() -> Console:
    return Console(stderr=True)
