"""Python, torch, torchvision, devices and caches."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from srspace import __version__
from srspace.doctor.finding import Finding, Level

_LITTLE_MEMORY = 2 * 2**30
_LITTLE_SPACE = 2**30


def check_python() -> Iterator[Finding]:
    """The versions of srspace and Python."""
    text = f"version {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}."
    yield Finding("srspace", Level.OK, text)


def check_torch() -> Iterator[Finding]:
    """Whether torch can be imported."""
    try:
        import torch
    except Exception as error:  # a damaged torch raises anything from ImportError to OSError
        yield Finding("torch", Level.PROBLEM, f"cannot be imported ({_brief(error)}). Install it again.")
        return
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Finding("torch", Level.OK, f"version {torch.__version__}, built {built}.")


def check_torchvision() -> Iterator[Finding]:
    """Whether torchvision belongs to the installed torch."""
    mismatch = _foreign_torch()
    if mismatch is not None:
        yield Finding("torchvision", Level.WARNING, mismatch)
    try:
        import torchvision as _  # noqa: F401
    except ImportError as error:
        yield Finding("torchvision", Level.PROBLEM, f"cannot be imported ({_brief(error)}); LPIPS needs it.")
    except Exception as error:  # operators of another build raise RuntimeErrors
        yield _worked_around(error)
    else:
        if mismatch is None:
            yield Finding("torchvision", Level.OK, f"version {version('torchvision')}.")


def _foreign_torch() -> str | None:
    """A sentence where torchvision asks for another version of torch; None where it does not."""
    try:
        there, wanted = version("torch"), map(Requirement, requires("torchvision") or [])
    except PackageNotFoundError:
        return None
    for requirement in wanted:
        if requirement.name == "torch" and not requirement.specifier.contains(there, prereleases=True):
            asked = str(requirement.specifier).removeprefix("==")
            return (
                f"version {version('torchvision')} was made for torch {asked}, but torch {there} is installed. "
                "Install the two that belong together."
            )
    return None


def _worked_around(error: Exception) -> Finding:
    from srspace.metrics._torchvision import ensure_torchvision

    try:
        ensure_torchvision()
    except Exception as second:  # as above
        text = f"cannot be imported ({_brief(second)}); LPIPS needs it. Install the one that belongs to torch."
        return Finding("torchvision", Level.PROBLEM, text)
    text = (
        f"version {version('torchvision')} was built for another torch than {version('torch')} ({_brief(error)}). "
        "srspace works all the same; other programs may not."
    )
    return Finding("torchvision", Level.WARNING, text)


def check_devices() -> Iterator[Finding]:
    """Devices, the precision that each is used in, and free memory."""
    import psutil
    import torch

    from srspace.devices import PRECISION_NAMES, available_memory, pick_device, pick_precision

    names = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    names += ["mps"] if torch.backends.mps.is_available() else []
    for name in names:
        device = pick_device(name)
        precision = PRECISION_NAMES[pick_precision("auto", device)]
        free = available_memory(device)
        if device.type == "cuda":
            title = torch.cuda.get_device_name(device)
        else:
            title = f"{psutil.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
        level = Level.WARNING if free < _LITTLE_MEMORY else Level.OK
        little = "; that is little, so close other programs or use --max-memory" if level is Level.WARNING else ""
        yield Finding(name, level, f"{title}, {free / 2**30:.1f} GiB free{little}; computes in {precision}.")
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        why = "torch is built without CUDA" if torch.version.cuda is None else "its driver does not fit torch"
        yield Finding("cuda", Level.WARNING, f"there is an NVIDIA GPU, but torch cannot use it: {why}.")
    yield Finding("default device", Level.OK, f"{pick_device()}.")


def check_caches() -> Iterator[Finding]:
    """Where downloads go, and whether they can be written."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from torch.hub import get_dir

    from srspace.data.catalog import cache_home

    places = {"cache": cache_home(), "weights cache": Path(HF_HUB_CACHE), "metrics cache": Path(get_dir())}
    for what, folder in places.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield Finding(what, Level.PROBLEM, f"{folder} cannot be written, so nothing can be downloaded.")
        elif free < _LITTLE_SPACE:
            yield Finding(what, Level.WARNING, f"{folder} has only {free / 2**20:.0f} MiB left.")
        else:
            state = f"{free / 2**30:.0f} GiB free" if folder.exists() else "made when it is needed"
            yield Finding(what, Level.OK, f"{folder} ({state}).")


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:120] or type(error).__name__
