"""Model folders (``model.safetensors`` + ``config.json``): saving, loading, averaging, converting published files."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from srspace.errors import CheckpointError, OutputError, UsageError
from srspace.files import remove_leftovers, write_bytes
from srspace.layouts import infer_published
from srspace.models import Assessor, DialFusion, Fusion, RRDBNet, SRFlow, build
from srspace.packing import is_packed, pack, unpack

MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
KINDS: dict[str, type[nn.Module]] = {
    "flow": SRFlow,
    "encoder": RRDBNet,
    "fusion": Fusion,
    "dial-fusion": DialFusion,
    "assessor": Assessor,
}

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion found and wrote.

    Attributes:
        kind: ``"flow"`` or ``"encoder"``.
        config: the configuration written beside the weights.
        licence: the licence on record, or None.
        notes: what a user should know: guesses made, keys left out, licence of published weights.
        out_dir: the folder written.
    """

    kind: str
    config: dict[str, Any]
    licence: str | None
    notes: list[str] = field(default_factory=list)
    out_dir: Path = Path()


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model folder.

    Raises:
        CheckpointError: there is none, or it is not JSON.
    """
    path = Path(folder) / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{folder} is not a model folder: {CONFIG_FILE} cannot be read.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} does not hold a configuration.")
    return config


def load_model(folder: Path | str) -> nn.Module:
    """Build the network of a model folder and load its weights as float32, in evaluation mode.

    Raises:
        CheckpointError: a file is missing or damaged, or weights and configuration do not fit.
    """
    folder = Path(folder)
    network = build(read_config(folder))
    load_state(network, folder / MODEL_FILE)
    return network.eval().requires_grad_(False)


def load_state(network: nn.Module, path: Path) -> None:
    """Load the weights in ``path`` into ``network``, whatever float type they are stored in.

    Raises:
        CheckpointError: the file is missing, damaged, of other sizes, or holds values that are not finite.
    """
    state = read_tensors(path)
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path} is damaged: {key} holds values that are not finite.")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its {CONFIG_FILE}: {_first_problem(error)}.") from error


def load_flow(path: Path | str) -> SRFlow:
    """Load a flow from a model folder.

    Args:
        path: folder with ``model.safetensors`` and ``config.json``, as ``srspace weights convert`` writes it.

    Returns:
        The model in float32 on the CPU, with ``encode(hr, lr)`` and ``decode(lr, latents)``; its ``encoder(lr)`` is
        the encoder's own super-resolution (the regression head), unclamped.

    Raises:
        CheckpointError: the folder is not a usable flow.
    """
    return _load_as(path, SRFlow)


def load_fusion(path: Path | str) -> Fusion | DialFusion:
    """Load a network that merges candidates from a model folder: for stacks, for sets, or with a dial.

    Raises:
        CheckpointError: the folder is not a usable fusion network.
    """
    network = load_model(path)
    if isinstance(network, Fusion | DialFusion):
        return network
    raise CheckpointError(
        f"{path} holds weights of the kind {read_config(Path(path))['kind']}, not fusion or dial-fusion."
    )


def load_encoder(path: Path | str) -> RRDBNet:
    """Load an encoder from a model folder: an encoder's own, or that of a flow.

    Raises:
        CheckpointError: the folder holds neither.
    """
    network = load_model(path)
    if isinstance(network, SRFlow):
        return network.encoder
    if isinstance(network, RRDBNet):
        return network
    raise CheckpointError(f"{path} holds weights of the kind {read_config(Path(path))['kind']}, not encoder or flow.")


def load_assessor(path: Path | str) -> Assessor:
    """Load a network that assesses pictures from a model folder.

    Raises:
        CheckpointError: the folder is not such a network.
    """
    return _load_as(path, Assessor)


def save_model(
    folder: Path,
    network: nn.Module,
    *,
    extra: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    packed: bool = False,
) -> dict[str, Any]:
    """Write a model folder; both files appear whole or not at all. Earlier ones are replaced.

    Args:
        folder: where to write.
        network: an SRFlow, RRDBNet, Fusion, DialFusion or Assessor.
        extra: further entries of ``config.json`` (licence, source, ...).
        dtype: type to store the weights in (None: as they are).
        packed: store large tensors in 10 bits (see :mod:`srspace.packing`).

    Returns:
        The configuration written.

    Raises:
        OutputError: the folder cannot be written.
    """
    config = describe(network) | dict(extra or {})
    state = {k: v.detach().to("cpu", dtype).contiguous() for k, v in network.state_dict().items()}
    state = pack(state) if packed else state
    remove_leftovers(folder)
    write_bytes(folder / MODEL_FILE, save(state, metadata={"format": "pt"}))
    write_bytes(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())
    return config


def describe(network: nn.Module) -> dict[str, Any]:
    """The configuration from which :func:`srspace.models.build` makes ``network`` again."""
    if isinstance(network, SRFlow):
        return {
            "kind": "flow",
            "scale": network.scale,
            "encoder": network.encoder.config.to_dict(),
            "flow": network.flow.config.to_dict(),
        }
    if isinstance(network, RRDBNet):
        return {"kind": "encoder", "scale": network.config.scale, "encoder": network.config.to_dict()}
    if isinstance(network, Fusion):
        return {"kind": "fusion", "fusion": network.config.to_dict()}
    if isinstance(network, Assessor):
        return {"kind": "assessor", "assessor": network.config.to_dict()}
    if isinstance(network, DialFusion):
        return {"kind": "dial-fusion", "fusion": network.config.to_dict()}
    raise ValueError(f"{type(network).__name__} is not a network of srspace")


def convert(
    source: Path, out_dir: Path, *, overrides: Mapping[str, Any] | None = None, licence: str | None = None
) -> ConversionReport:
    """Convert a published checkpoint into a model folder, sizes inferred from keys and shapes.

    Recognised are SRFlow-DA's layout and the three layouts in which RRDB/ESRGAN weights are published. Nothing in
    the file is executed (``weights_only=True``).

    Args:
        source: a ``.pth`` or ``.safetensors`` file.
        out_dir: the folder to write; it must not hold a model yet.
        overrides: configuration values that cannot be inferred, e.g. ``{"stack_blocks": [1, 8, 15, 22]}``.
        licence: the licence under which the user holds the weights; recorded as stated.

    Raises:
        CheckpointError: the file is not a state dict of a known layout, or its sizes contradict each other.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    check_no_model(out_dir)
    published = infer_published(read_tensors(source), dict(overrides or {}))
    network = build(published.config)
    try:
        network.load_state_dict(published.state)
    except RuntimeError as error:
        raise CheckpointError(f"{source} contradicts itself: {_first_problem(error)}.") from error
    extra = {"licence": licence or "not stated", "converted_from": source.name}
    config = save_model(out_dir, network, extra=extra)
    return ConversionReport(published.config["kind"], config, licence, published.notes, out_dir)


def average(folders: Sequence[Path], out_dir: Path, *, shares: Sequence[float] | None = None) -> dict[str, Any]:
    """Average the weights of networks of one kind and size (model soup, Wortsman et al., 2022).

    It serves networks that were trained on from the same weights; others have no average that is worth anything.

    Args:
        folders: model folders, at least two.
        out_dir: the folder to write; it must not hold a model yet. Weights are stored in the first folder's type.
        shares: positive weights, one for each folder, divided by their sum (None: equal ones).

    Returns:
        The configuration written.

    Raises:
        UsageError: there are fewer than two folders, or shares do not fit.
        CheckpointError: a folder is not a usable model, or the networks differ in kind or size.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    shares = list(shares or [1.0] * len(folders))
    if len(folders) < 2:
        raise UsageError("an average needs the weights of at least two models.")
    if len(shares) != len(folders) or not all(math.isfinite(share) and share > 0 for share in shares):
        raise UsageError(f"{len(folders)} models need {len(folders)} positive shares.")
    check_no_model(out_dir)
    shares = [share / math.fsum(shares) for share in shares]
    network = load_model(folders[0])
    total = {key: shares[0] * value.double() for key, value in network.state_dict().items()}
    for folder, share in zip(folders[1:], shares[1:], strict=True):
        other = load_model(folder)
        if describe(other) != describe(network):
            raise CheckpointError(f"{folder} and {folders[0]} hold networks of different kinds or sizes.")
        for key, value in other.state_dict().items():
            total[key] += share * value.double()
    network.load_state_dict(total)
    history = ("training", "average_of")
    extra = {key: value for key, value in read_config(folders[0]).items() if key not in history}
    extra["average_of"] = {str(folder): share for folder, share in zip(folders, shares, strict=True)}
    dtype, packed = _stored_as(folders[0])
    return save_model(out_dir, network, extra=extra, dtype=dtype, packed=packed)


def pack_model(folder: Path, out_dir: Path) -> dict[str, Any]:
    """Store a model's weights in 10 bits (see :mod:`srspace.packing`).

    Args:
        folder: a model folder.
        out_dir: the folder to write; it must not hold a model yet.

    Returns:
        The configuration written.

    Raises:
        CheckpointError: the folder is not a usable model.
        OutputError: ``out_dir`` holds a model already or cannot be written.
    """
    check_no_model(out_dir)
    network = load_model(folder)
    return save_model(out_dir, network, extra=read_config(folder), dtype=torch.float16, packed=True)


def check_no_model(folder: Path) -> None:
    """Make sure that writing a model would not replace one.

    Raises:
        OutputError: ``folder`` holds a model already.
    """
    if (folder / MODEL_FILE).exists():
        raise OutputError(f"{folder} already holds a model; name another folder.")


def _load_as(path: Path | str, kind: type[Model]) -> Model:
    network = load_model(path)
    if not isinstance(network, kind):
        wanted = next(name for name, cls in KINDS.items() if cls is kind)
        raise CheckpointError(f"{path} holds weights of the kind {read_config(Path(path))['kind']}, not {wanted}.")
    return network


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of any project, in float32; nothing in the file is executed.

    Args:
        path: a ``.safetensors`` file, or one that ``torch.save`` wrote.

    Raises:
        CheckpointError: it cannot be read that way, or holds something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} {'is not a file' if path.exists() else 'does not exist'}.")
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # damaged pickles raise anything; those that would run code, UnpicklingError
        raise CheckpointError(f"{path} is not a checkpoint that can be read safely.") from error
    for wrapper in ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} does not hold a state dict.")
    state = {str(k).removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
    try:
        state = unpack(state) if is_packed(state) else state
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _stored_as(folder: Path) -> tuple[torch.dtype | None, bool]:
    """The floating-point type of a model's weights, and whether large ones are packed."""
    state = load_file(folder / MODEL_FILE)
    packed = is_packed(state)
    kept = (value.dtype for key, value in state.items() if value.is_floating_point() and not key.endswith(".step"))
    return next(kept, None), packed


def _first_problem(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
    text = (lines[0] if lines else str(error)).rstrip(".")
    return text if len(text) < 200 else text[:197] + "..."
