"""``srspace train``: encoder, flow and fusion networks."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from srspace.cli.output import message
from srspace.config import DEFAULT_WEIGHTS, FlowConfig, FusionConfig, RRDBConfig, TrainConfig
from srspace.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srspace.data.patches import Pool

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
Reduce = Annotated[
    list[float] | None,
    typer.Option("--reduce", help="Also train on the pictures reduced by this factor; may be repeated."),
]
ReducedShare = Annotated[float, typer.Option(help="What they give together of the photographs in a batch.")]
Rendered = Annotated[
    int, typer.Option(help="Also train on so many rendered tiles (text, line art, screens, pixel art).")
]
RenderedShare = Annotated[float, typer.Option(help="Their share of a batch.")]
Stretched = Annotated[float, typer.Option(help="Share of a batch from photographs of stretched contrast.")]
LpipsNet = Annotated[
    list[str] | None,
    typer.Option(help="Backbone of the LPIPS loss: alex, squeeze or vgg; may be repeated [alex and squeeze]."),
]
Taus = Annotated[
    list[float] | None, typer.Option("--tau", "-t", help="Temperature of the candidates; may be repeated [0.9].")
]
Permuted = Annotated[float, typer.Option(help="Share of patches with red, green and blue in a random order.")]
Blended = Annotated[float, typer.Option(help="Share of patches blended with another one of the batch (mixup).")]
Degraded = Annotated[float, typer.Option(help="Share of LR patches with JPEG artifacts or noise.")]


@app.command()
def encoder(
    data: Data,
    out: Out,
    val: Val = None,
    start: Annotated[str | None, typer.Option("--from", help="Weights to start from.")] = None,
    blocks: Annotated[int, typer.Option("--nb", help="Trunk blocks of a fresh encoder.")] = RRDBConfig.nb,
    scale: Annotated[int, typer.Option(help="Upscaling factor of a fresh encoder.")] = RRDBConfig.scale,
    loss: Annotated[str, typer.Option(help="l1, or l2 to end a training with.")] = "l1",
    teacher: Annotated[
        str | None, typer.Option(help="Weights whose encoder, over all flips and rotations, gives a second target.")
    ] = None,
    teacher_weight: Annotated[float, typer.Option(help="Weight of the distance to that target.")] = 1.0,
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
    reduce: Reduce = None,
    reduced_share: ReducedShare = 0.5,
    rendered: Rendered = 0,
    rendered_share: RenderedShare = 0.1,
    stretched_share: Stretched = 0.0,
    degraded_share: Degraded = 0.0,
    permuted_share: Permuted = 0.0,
    blended_share: Blended = 0.0,
    compile: Compile = False,
    restart: Fresh = False,
) -> None:
    """Train an RRDB encoder by regression."""
    _check_regression(loss)
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    from srspace.checkpoints import load_encoder
    from srspace.devices import pick_device
    from srspace.hub import resolve_weights
    from srspace.models import RRDBNet
    from srspace.training.encoder import train_encoder
    from srspace.training.processes import process_group

    network = load_encoder(resolve_weights(start)) if start else RRDBNet(RRDBConfig(scale=scale, nb=blocks))
    guide = load_encoder(resolve_weights(teacher)) if teacher else None
    if guide is not None and guide.config.scale != network.config.scale:
        raise UsageError(f"the teacher upscales by {guide.config.scale}, the encoder by {network.config.scale}.")
    mix = _Mix(
        reduce or (), reduced_share, rendered, rendered_share, stretched_share, degraded_share,
        permuted_share, blended_share,
    )  # fmt: skip
    with process_group(pick_device(device)) as where:
        pool = _pool(data, network.config.scale, where, tile, settings.patch, mix)
        validation = _validation(val, network.config.scale, where, tile)
        train_encoder(
            network.to(where),
            pool,
            settings,
            out,
            loss=_literal(loss),
            teacher=None if guide is None else guide.to(where),
            teacher_weight=teacher_weight,
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
        str | None,
        typer.Option("--encoder", help=f"Weights whose encoder the flow is put on [--from's, else {DEFAULT_WEIGHTS}]."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="K, steps per level of a fresh flow.")] = FlowConfig.steps,
    hidden: Annotated[
        int, typer.Option("--hidden-channels", help="Width of a fresh flow's subnets.")
    ] = FlowConfig.hidden_channels,
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of the noise on HR patches, 0..255 [default: 4/sqrt(3)].")
    ] = None,
    train_encoder: Annotated[bool, typer.Option("--train-encoder", help="Train the encoder along.")] = False,
    head_weight: Annotated[
        float, typer.Option(help="Weight of the distance of the encoder's own output while it is trained along.")
    ] = 0.0,
    head_loss: Annotated[str, typer.Option(help="That distance: l1 or l2.")] = "l1",
    encoder_rate: Annotated[float, typer.Option(help="Factor on the encoder's learning rate.")] = 0.25,
    perceptual_weight: Annotated[
        float, typer.Option(help="Weight of the LPIPS of candidates beside the nll, for a flow that has been trained.")
    ] = 0.0,
    mean_weight: Annotated[
        float, typer.Option(help="Weight of the squared error of the candidates' mean, which LPIPS alone lets go.")
    ] = 0.0,
    lpips_net: LpipsNet = None,
    temperature: Taus = None,
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
    reduce: Reduce = None,
    reduced_share: ReducedShare = 0.5,
    rendered: Rendered = 0,
    rendered_share: RenderedShare = 0.1,
    stretched_share: Stretched = 0.0,
    degraded_share: Degraded = 0.0,
    permuted_share: Permuted = 0.0,
    blended_share: Blended = 0.0,
    compile: Compile = False,
    restart: Fresh = False,
) -> None:
    """Train a flow by likelihood on a frozen encoder."""
    _check_regression(head_loss)
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    if noise is not None:
        settings = replace(settings, noise=noise)
    if min(perceptual_weight, mean_weight) < 0:
        raise UsageError("the weights of LPIPS and of the candidates' mean cannot be negative.")
    if mean_weight and not perceptual_weight:
        raise UsageError("--mean-weight goes with --perceptual-weight.")
    if perceptual_weight and not start:
        raise UsageError("LPIPS of candidates is for a flow that has been trained: name it with --from.")
    backbones = _backbones(lpips_net)
    from srspace.checkpoints import load_encoder, load_flow
    from srspace.devices import pick_device
    from srspace.hub import resolve_weights
    from srspace.layouts import usual_blocks
    from srspace.metrics import Lpips
    from srspace.models import SRFlow
    from srspace.training.candidates import CandidateLoss, check_batches
    from srspace.training.flow import train_flow
    from srspace.training.processes import process_group

    if perceptual_weight:
        check_batches(settings)
    base = load_encoder(resolve_weights(encoder or DEFAULT_WEIGHTS)) if encoder or not start else None
    if start:
        model = load_flow(resolve_weights(start))
    elif base is not None:
        sizes = FlowConfig(
            scale=base.config.scale,
            levels=base.config.scale.bit_length() - 1,
            steps=steps,
            hidden_channels=hidden,
            stack_blocks=usual_blocks(base.config.nb, min(4, base.config.nb)),
        )
        model = SRFlow(base.config, sizes)
    if base is not None:
        if base.config != model.encoder.config:
            raise UsageError(f"the encoder of {encoder} has other sizes than the flow of {start} was built on.")
        model.encoder.load_state_dict(base.state_dict())
    mix = _Mix(
        reduce or (), reduced_share, rendered, rendered_share, stretched_share, degraded_share,
        permuted_share, blended_share,
    )  # fmt: skip
    with process_group(pick_device(device)) as where:
        pool = _pool(data, model.scale, where, tile, settings.patch, mix)
        validation = _validation(val, model.scale, where, tile)
        candidates = None
        if perceptual_weight:
            critics = tuple(Lpips(net).to(where) for net in backbones)
            candidates = CandidateLoss(critics, perceptual_weight, mean_weight, tuple(temperature or (0.9,)))
        train_flow(
            model.to(where),
            pool,
            settings,
            out,
            validation=validation,
            train_encoder=train_encoder,
            head_weight=head_weight,
            head_loss=_literal(head_loss),
            encoder_rate=encoder_rate,
            candidates=candidates,
            initialize=start is None,
            compile=compile,
            resume=not restart,
            report=_report,
        )
    _done(out)


@app.command()
def fusion(
    data: Annotated[
        list[Path], typer.Option("--data", help="Folder of HR training pictures; one for each of --weights.")
    ],
    out: Out,
    loss: Annotated[str, typer.Option(help="l1 (fidelity) or lpips (natural looks).")] = "l1",
    val: Val = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Flow whose candidates are merged; may be repeated, each drawing from the --data in the same place: "
            f"pictures that it was not trained on itself [{DEFAULT_WEIGHTS}]."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Fusion weights to go on from; their sizes win over the flags.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="set (any number of candidates, in any order) or stack (the paper's: a fixed number).")
    ] = "set",
    samples: Annotated[int, typer.Option("--samples", "-n", help="Candidates in a stack, or the usual number.")] = 10,
    blocks: Annotated[int, typer.Option(help="Residual blocks.")] = FusionConfig.blocks,
    channels: Annotated[int, typer.Option(help="Their width.")] = FusionConfig.channels,
    temperature: Taus = None,
    patches: Annotated[int, typer.Option(help="Patches sampled before training starts.")] = 1024,
    refresh: Annotated[int, typer.Option(help="Patches replaced by fresh ones every 10 iterations.")] = 16,
    lpips_net: LpipsNet = None,
    judge: Annotated[str | None, typer.Option(help="A further backbone for the validation figures.")] = None,
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
    reduce: Reduce = None,
    reduced_share: ReducedShare = 0.5,
    rendered: Rendered = 0,
    rendered_share: RenderedShare = 0.1,
    stretched_share: Stretched = 0.0,
    degraded_share: Degraded = 0.0,
    permuted_share: Permuted = 0.0,
    blended_share: Blended = 0.0,
    restart: Fresh = False,
) -> None:
    """Train a fusion network on candidates of fixed flows."""
    settings = _settings(config, iterations, batch_size, patch, learning_rate, schedule, time_limit, seed)
    if loss not in ("l1", "lpips"):
        raise UsageError(f"the loss must be l1 or lpips, not {loss!r}.")
    backbones = _backbones(lpips_net)
    judge_net = _backbones([judge])[0] if judge else None
    import torch

    from srspace.checkpoints import load_flow, load_fusion
    from srspace.data.patches import PatchPool
    from srspace.devices import pick_device, pick_precision
    from srspace.hub import resolve_weights
    from srspace.models import FusionNet, SetFusionNet
    from srspace.training.fusion import CandidatePool, draw_candidates, train_fusion
    from srspace.training.loop import seed_process
    from srspace.training.processes import process_group

    if kind not in ("set", "stack"):
        raise UsageError(f"the kind must be set or stack, not {kind!r}.")
    names = weights or [DEFAULT_WEIGHTS]
    if len(names) != len(data):
        raise UsageError(f"--weights and --data go together: there are {len(names)} flows and {len(data)} folders.")
    mix = _Mix(
        reduce or (), reduced_share, rendered, rendered_share, stretched_share, degraded_share,
        permuted_share, blended_share,
    )  # fmt: skip
    with process_group(pick_device(device)) as where:
        seed_process(settings.seed)
        flows = [load_flow(resolve_weights(name)) for name in names]
        model = flows[0]
        if any(flow.scale != model.scale for flow in flows):
            raise UsageError("the flows do not all upscale by the same factor.")
        for flow in flows:
            flow.to(where).set_subnet_dtype(pick_precision("auto", where))
            if where.type == "cuda":
                flow.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pools = [_pool(folder, model.scale, where, tile, settings.patch, mix) for folder in data]
        validation = _validation(val, model.scale, where, tile)
        taus = tuple(temperature or (0.9,))

        def draw(count: int) -> CandidatePool:
            counts = [(count + i) // len(flows) for i in range(len(flows))]
            return CandidatePool.joined([
                draw_candidates(
                    flow, pool, patches=n, samples=samples * 3 // 2, patch=settings.patch, temperatures=taus
                )
                for flow, pool, n in zip(flows, pools, counts, strict=True) if n
            ])  # fmt: skip

        held_out = None
        if validation is not None:
            hr, lr = ((x * 255).round().byte() for x in validation)
            crops = PatchPool(hr, lr)
            held_out = draw_candidates(
                model, crops, patches=len(crops), samples=samples, patch=crops.hr.shape[-1], in_order=True
            )
        if start:
            network = load_fusion(resolve_weights(start))
        else:
            sizes = FusionConfig(samples=samples if kind == "stack" else None, channels=channels, blocks=blocks)
            network = FusionNet(sizes) if kind == "stack" else SetFusionNet(sizes)
        train_fusion(
            network.to(where),
            draw(patches),
            settings,
            out,
            loss=_literal(loss),
            backbones=backbones,
            judge=judge_net,
            pixel_weight=pixel_weight,
            validation=held_out,
            refresh=(lambda: draw(refresh)) if refresh else None,
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


def _check_regression(loss: str) -> None:
    if loss not in ("l1", "l2"):
        raise UsageError(f"a regression loss is l1 or l2, not {loss!r}.")


def _backbones(names: list[str] | None) -> tuple[Any, ...]:
    for net in names or ():
        if net not in ("alex", "squeeze", "vgg"):
            raise UsageError(f"an LPIPS backbone is alex, squeeze or vgg, not {net!r}.")
    return tuple(names or ("alex", "squeeze"))


class _Mix(NamedTuple):
    """What :func:`srspace.data.patches.mixed_pool` takes, by the same names."""

    reductions: Sequence[float]
    reduced_share: float
    rendered: int
    rendered_share: float
    stretched_share: float
    degraded_share: float
    permuted_share: float
    blended_share: float


def _pool(folder: Path, scale: int, device: torch.device, tile: int, patch: int, mix: _Mix) -> Pool:
    from srspace.data.patches import load_pool, mixed_pool

    if patch % scale or tile % scale or patch > tile:
        raise UsageError(f"patch ({patch}) and tile ({tile}) must be multiples of {scale}, the tile the larger.")
    if any(not 0 < r < 1 or tile * r < patch for r in mix.reductions):
        raise UsageError(f"a reduction must lie between {patch / tile:.2g} (patch / tile) and 1.")
    shares = (mix.reduced_share, mix.rendered_share, mix.stretched_share, mix.degraded_share)
    if any(not 0 <= share < 1 for share in shares) or mix.rendered_share + mix.stretched_share >= 1:
        raise UsageError("shares of a batch must lie between 0 and 1, and leave some of it to photographs.")
    if not (0 <= mix.permuted_share <= 1 and 0 <= mix.blended_share <= 1):
        raise UsageError("the shares of permuted and of blended patches must lie between 0 and 1.")
    base = load_pool(folder, scale=scale, device=device, tile=tile)
    pool = mixed_pool(base, **mix._asdict())
    message(f"{len(base)} tiles of {tile}x{tile} pixels on {device}")
    return pool


def _validation(folder: Path | None, scale: int, device: torch.device, tile: int) -> tuple[Tensor, Tensor] | None:
    from srspace.data.patches import centre_crops, find_pictures

    if folder is None:
        return None
    return centre_crops(find_pictures(folder), side=min(320, tile) // scale * scale, scale=scale, device=device)


def _literal(value: str) -> Any:
    """Narrow a checked string for mypy; Typer has no Literal options in all supported versions."""
    checked: Literal["l1", "l2", "lpips"] | str = value
    return checked


def _report(record: dict[str, Any]) -> None:
    parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items()]
    message("  ".join(parts))


def _done(out: Path) -> None:
    message(f"saved {out}")
