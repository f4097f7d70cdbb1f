"""Key layouts of published checkpoints: recognising them, inferring sizes, and naming every tensor ours.

Facts used here: SRFlow-DA (Jo et al., 2021) numbers the layers of its flow through all levels; a squeeze takes an
index too. RRDB weights are published with the names of ESRGAN's repository (``RRDB_trunk``), of its first release
(``model.1.sub``) and of BasicSR (``body``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from srspace.config import FlowConfig, RRDBConfig
from srspace.errors import CheckpointError

_ENCODER = "RRDB."
_FLOW = "flowUpsamplerNet.layers."
_LICENCE_NOTE = (
    "The layout is that of the published SRFlow-DA weights, which are licensed CC BY-NC-SA 4.0 (no commercial use)."
)
_BASICSR = {
    "conv_body": "trunk_conv",
    "conv_up1": "upconv1",
    "conv_up2": "upconv2",
    "conv_up3": "upconv3",
    "conv_hr": "HRconv",
}
_UNKNOWN = "is of no known layout (SRFlow-DA, or RRDB/ESRGAN weights)"
_CONFIG_NAMES = {"L": "levels", "K": "steps", "additional_flow_no_affine": "coupling_free_steps"}
"""Settings of published configuration files, and what they are called here."""


@dataclass(frozen=True)
class PublishedModel:
    """A recognised checkpoint.

    Attributes:
        config: what :func:`srspace.models.build` takes.
        state: the tensors under this project's names.
        notes: guesses made and things left out, a sentence each.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]
    notes: list[str]


def infer_published(state: dict[str, Tensor], overrides: dict[str, Any]) -> PublishedModel:
    """Recognise a published state dict from its keys and shapes alone.

    Args:
        state: the checkpoint's tensors.
        overrides: configuration values that win over inferred ones.

    Raises:
        CheckpointError: the layout is unknown, its sizes contradict each other, or an override does not fit them.
    """
    overrides = {_CONFIG_NAMES.get(k, k): v for k, v in overrides.items()}
    known = {f.name for f in fields(RRDBConfig)} | {f.name for f in fields(FlowConfig)}
    unknown = sorted(set(overrides) - known)
    blocks = overrides.get("stack_blocks", [])
    if not isinstance(blocks, list | tuple) or not all(type(i) is int for i in blocks):
        raise CheckpointError(f"stack_blocks must be a list of whole numbers, not {blocks!r}.")
    state = _without_prefix(state)
    try:
        model = _flow(state, overrides) if any(k.startswith(_FLOW) for k in state) else _encoder(state, overrides)
    except (IndexError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint {_UNKNOWN}.") from error
    notes = [f"The configuration file has settings unknown here: {', '.join(unknown)}."] if unknown else []
    return PublishedModel(model.config, model.state, [*model.notes, *notes])


def published_names(config: FlowConfig) -> Iterator[tuple[str, str]]:
    """Pairs of prefixes (published, ours) for every layer of a flow that has parameters, in order."""
    index = 0
    for level in range(config.levels):
        ours = f"flow.levels.{level}"
        for i in range(config.coupling_free_steps):
            yield f"{_FLOW}{index + 1 + i}.", f"{ours}.transitions.{i}."
        index += 1 + config.coupling_free_steps
        for i in range(config.steps):
            published = f"{_FLOW}{index + i}."
            yield published + "affine.fFeatures.", f"{ours}.steps.{i}.coupling.f_features."
            yield published + "affine.fAffine.", f"{ours}.steps.{i}.coupling.f_affine."
            yield published, f"{ours}.steps.{i}."
        index += config.steps
        if level < config.levels - 1:
            yield f"{_FLOW}{index}.", f"{ours}.split."
            index += 1


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what wrappers such as ``DataParallel`` put before every key."""
    anchor = _FLOW if any(_FLOW in k for k in state) else "conv_first.weight"
    prefix = next((k[: k.index(anchor)] for k in state if anchor in k), "").removesuffix(_ENCODER)
    return {k.removeprefix(prefix): v for k, v in state.items()}


def _encoder(state: dict[str, Tensor], overrides: dict[str, Any]) -> PublishedModel:
    notes = []
    skip = "first"
    if f"{_ENCODER}conv_first.weight" in state:
        skip = "trunk"
        left_out = [k for k in state if not k.startswith(_ENCODER)]
        if left_out:
            notes.append(f"Left out, because the network does not use them: {_some(left_out)}.")
        state = {k[len(_ENCODER) :]: v for k, v in state.items() if k.startswith(_ENCODER)}
    elif "skip" not in overrides:
        notes.append(
            "Keys cannot tell ESRGAN's trunk skip from SRFlow's; ESRGAN's was taken "
            '(for an SRFlow encoder give --config with {"skip": "trunk"}).'
        )
    state = _encoder_names(state)
    config = _encoder_config(state, overrides, skip)
    full = {"kind": "encoder", "scale": config.scale, "encoder": config.to_dict()}
    return PublishedModel(full, state, notes)


def _flow(state: dict[str, Tensor], overrides: dict[str, Any]) -> PublishedModel:
    encoder_state = _encoder_names({k[len(_ENCODER) :]: v for k, v in state.items() if k.startswith(_ENCODER)})
    encoder = _encoder_config(encoder_state, overrides, "trunk")
    layers = {k[len(_FLOW) :]: v for k, v in state.items() if k.startswith(_FLOW)}
    config, notes = _flow_config(layers, encoder, overrides)
    ours = {f"encoder.{k}": v for k, v in encoder_state.items()}
    prefixes = list(published_names(config))
    for key, value in state.items():
        if key.startswith(_FLOW):
            match = next(((p, o) for p, o in prefixes if key.startswith(p)), None)
            if match is None:
                raise CheckpointError(f"the checkpoint has a layer that its sizes do not explain: {key}.")
            ours[match[1] + key[len(match[0]) :]] = value
    left_out = [k for k in state if not k.startswith((_FLOW, _ENCODER))]
    if left_out:
        notes.append(f"Left out, because the network does not use them: {_some(left_out)}.")
    full = {"kind": "flow", "scale": config.scale, "encoder": encoder.to_dict(), "flow": config.to_dict()}
    return PublishedModel(full, ours, [_LICENCE_NOTE, *notes])


def _encoder_config(state: dict[str, Tensor], overrides: dict[str, Any], skip: str) -> RRDBConfig:
    try:
        nf, channels = state["conv_first.weight"].shape[:2]
        inferred: dict[str, Any] = {
            "scale": 2 ** _count(state, r"upconv(\d+)\.weight"),
            "nf": nf,
            "gc": state["RRDB_trunk.0.RDB1.conv1.weight"].shape[0],
            "nb": _count(state, r"RRDB_trunk\.(\d+)\."),
            "skip": skip,
        }
    except KeyError as error:
        raise CheckpointError(f"the checkpoint {_UNKNOWN}.") from error
    if channels != 3:
        raise CheckpointError(f"the encoder takes {channels} input channels; only plain RGB encoders are supported.")
    return RRDBConfig.from_dict(inferred | {k: v for k, v in overrides.items() if k in inferred})


def _flow_config(
    layers: dict[str, Tensor], encoder: RRDBConfig, overrides: dict[str, Any]
) -> tuple[FlowConfig, list[str]]:
    with_coupling = {int(k.split(".")[0]) for k in layers if ".affine." in k}
    splits = {int(k.split(".")[0]) for k in layers if k.split(".")[1] == "conv"}
    steps = {int(k.split(".")[0]) for k in layers if ".actnorm." in k}
    levels = len(splits) + 1
    if not with_coupling or len(with_coupling) % levels or (len(steps) - len(with_coupling)) % levels:
        raise CheckpointError("the checkpoint's flow does not have the same number of steps on every level.")
    first = layers[f"{min(with_coupling)}.affine.fFeatures.0.weight"]
    stacked, rest = divmod(first.shape[1] - encoder.nf, encoder.nf)
    if rest or stacked < 1:
        raise CheckpointError(f"{first.shape[1]} conditioning channels do not fit an encoder of width {encoder.nf}.")
    pattern = rf"{min(with_coupling)}\.affine\.fFeatures\.(\d+)\.weight"
    inferred: dict[str, Any] = {
        "scale": encoder.scale,
        "levels": levels,
        "steps": len(with_coupling) // levels,
        "hidden_channels": first.shape[0],
        "hidden_layers": _count(layers, pattern) - 2,
        "stack_blocks": usual_blocks(encoder.nb, stacked),
        "coupling_free_steps": (len(steps) - len(with_coupling)) // levels,
        "affine_eps": FlowConfig().affine_eps,
    }
    notes = []
    if "stack_blocks" not in overrides:
        blocks = list(inferred["stack_blocks"])
        notes.append(
            f"Shapes cannot tell which trunk blocks are stacked; {blocks} was taken "
            '(otherwise give --config with {"stack_blocks": [...]}).'
        )
    config = FlowConfig.from_dict(inferred | {k: v for k, v in overrides.items() if k in inferred})
    if len(config.stack_blocks) != stacked or max(config.stack_blocks) >= encoder.nb:
        raise CheckpointError(
            f"stack_blocks must name {stacked} of the encoder's {encoder.nb} blocks, not {list(config.stack_blocks)}."
        )
    return config, notes


def usual_blocks(nb: int, count: int) -> tuple[int, ...]:
    """The ``count`` trunk blocks that a flow on an encoder of ``nb`` blocks is usually conditioned on."""
    if (nb, count) == (23, 4):
        return (1, 8, 15, 22)
    return tuple((i + 1) * nb // count - 1 for i in range(count))


def _encoder_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    if "conv_body.weight" in state:
        return {_from_basicsr(k): v for k, v in state.items()}
    if any(k.startswith("model.1.sub.") for k in state):
        nb = max(int(k.split(".")[3]) for k in state if k.startswith("model.1.sub."))
        plain = sorted({int(m[1]) for k in state if (m := re.fullmatch(r"model\.(\d+)\.weight", k))})
        names = ["conv_first", *(f"upconv{i}" for i in range(1, len(plain) - 2)), "HRconv", "conv_last"]
        numbered = {str(i): name for i, name in zip(plain, names, strict=False)}
        return {_from_first_release(k, nb, numbered): v for k, v in state.items()}
    return state


def _from_basicsr(key: str) -> str:
    key = re.sub(r"^body\.(\d+)\.rdb(\d)\.", r"RRDB_trunk.\1.RDB\2.", key)
    head, _, tail = key.partition(".")
    return f"{_BASICSR.get(head, head)}.{tail}"


def _from_first_release(key: str, nb: int, numbered: dict[str, str]) -> str:
    if match := re.fullmatch(r"model\.1\.sub\.(\d+)\.(RDB\d\.conv\d)\.0\.(weight|bias)", key):
        return "RRDB_trunk.{}.{}.{}".format(*match.groups())
    if key.startswith(f"model.1.sub.{nb}."):
        return "trunk_conv." + key.rsplit(".", 1)[1]
    if match := re.fullmatch(r"model\.(\d+)\.(weight|bias)", key):
        return f"{numbered.get(match[1], match[1])}.{match[2]}"
    return key


def _count(state: dict[str, Tensor], pattern: str) -> int:
    return len({m[1] for k in state if (m := re.match(pattern, k))})


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
