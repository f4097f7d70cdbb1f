"""Paired data sets made of HR pictures: reduced by MATLAB's bicubic, or damaged as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from srspace.data.degrade import SMALLEST, Degradation, DegradeConfig, describe
from srspace.data.folders import find_pictures
from srspace.data.pairs import Pair, check_names
from srspace.errors import DataError, OutputError, UsageError
from srspace.files import atomic_path

MANIFEST = "manifest.json"


def prepare(
    source: Path, target: Path, *, scale: int = 4, progress: Callable[[float], None] | None = None
) -> list[Path]:
    """Make LR images of a folder of HR images, by MATLAB's bicubic in 8 bits, as a paired data set.

    Args:
        source: pictures, searched recursively.
        target: gets ``HR/NAME.png``, cut to a multiple of the scale, and ``LR_bicubic/X4/NAMEx4.png``. Images that
            are there already are kept.
        scale: how much smaller LR is.
        progress: called with the share done.

    Returns:
        The LR images.

    Raises:
        DataError: ``source`` has no pictures, a picture cannot be read, or two of them would get one name.
        OutputError: ``target`` cannot be written.
    """
    pictures = _named(source)
    written = []
    for i, (name, path) in enumerate(pictures.items()):
        places = _places(target, "LR_bicubic", name, scale)
        if not all(place.is_file() for place in places):
            _write(Pair(name, path, None).load(scale), places)
        written.append(places[1])
        if progress is not None:
            progress((i + 1) / len(pictures))
    return written


def degrade(
    source: Path,
    target: Path,
    *,
    config: DegradeConfig | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Make damaged LR images of a folder of HR images, as a paired data set.

    What an image meets depends on its name, the seed and the configuration alone.

    Args:
        source: pictures, searched recursively.
        target: gets ``HR/NAME.png``, cut to a multiple of the scale, ``LR_degraded/X4/NAMEx4.png``, and
            ``manifest.json``, which says what each image has met. Images in the manifest that are there are kept.
        config: how often each kind of damage occurs, and how strong it is; by default no image stays clean.
        seed: of the damage.
        progress: called with the share done.

    Returns:
        The LR images.

    Raises:
        DataError: ``source`` has no pictures, a picture cannot be read or is too small, or two of them would get one
            name.
        OutputError: ``target`` cannot be written, or its manifest is damaged.
        UsageError: ``target`` holds images made with another seed or configuration.
    """
    config = config or DegradeConfig(clean=0.0)
    degradation, pictures = Degradation(config), _named(source)
    manifest = _manifest(target, {"seed": seed, "config": json.loads(json.dumps(asdict(config)))})
    written = []
    try:
        for i, (name, path) in enumerate(pictures.items()):
            places = _places(target, "LR_degraded", name, config.scale)
            if name not in manifest["images"] or not all(place.is_file() for place in places):
                hr, _ = Pair(name, path, None).load(config.scale)
                lr, met = _degraded(degradation, hr, f"{seed}/{name}", path)
                _write((hr, lr), places)
                manifest["images"][name] = met
            written.append(places[1])
            if progress is not None:
                progress((i + 1) / len(pictures))
    finally:  # an interrupted run goes on from here
        if written:
            with atomic_path(target / MANIFEST) as temporary:
                temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return written


def _degraded(degradation: Degradation, hr: Tensor, key: str, path: Path) -> tuple[Tensor, list[dict[str, Any]]]:
    if min(hr.shape[1:]) < SMALLEST:
        raise DataError(f"{path} is smaller than {SMALLEST}x{SMALLEST} pixels.")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
        lr, record = degradation.recorded(hr[None] / 255)
    return (255 * lr[0]).round().byte(), describe(record, 0)


def _named(source: Path) -> dict[str, Path]:
    paths = find_pictures(source)
    names = ["_".join(p.relative_to(source).with_suffix("").parts) for p in paths]
    check_names(names)
    return dict(zip(names, paths, strict=True))


def _places(target: Path, folder: str, name: str, scale: int) -> tuple[Path, Path]:
    return target / "HR" / f"{name}.png", target / folder / f"X{scale}" / f"{name}x{scale}.png"


def _write(images: tuple[Tensor, Tensor], places: tuple[Path, Path]) -> None:
    for image, out in zip(images, places, strict=True):
        with atomic_path(out) as temporary:
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(temporary, "PNG")


def _manifest(target: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The manifest that is there, or a new one."""
    path = target / MANIFEST
    if not path.exists():
        return made | {"images": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        images = dict(found["images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is not a manifest of damaged pictures; name another folder.") from error
    if {key: found.get(key) for key in made} != made:
        raise UsageError(f"{target} holds pictures that were damaged with other settings; name another folder.")
    return made | {"images": images}
