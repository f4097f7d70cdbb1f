"""Choosing a device and a precision, and how much memory a run may count on."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from threadpoolctl import ThreadpoolController

from srspace.config import PRECISIONS
from srspace.errors import ResourceError, UsageError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISION_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_FEW = 4
_COMPUTE_MODE = 20  # an attribute of NVIDIA's driver; its value 0 stands for no restriction
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: torch knows no such device.
        ResourceError: the device is not there.
    """
    if name == "auto":
        present = (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True))
        name = next(kind for kind, found in present if found)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name} is not a device (try cpu, cuda, cuda:1 or mps).") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise ResourceError(f"the device {name} is not available here.")
    return device


def compute_alone() -> None:
    """Have the calling thread's operations on the CPU done by itself.

    Every thread that computes gets as many helpers from torch as there are cores, and these wait busily for more to
    do. Where many threads work side by side, or next to a GPU, that only takes the cores away from others.
    """
    torch.get_num_threads()  # at its first operation in a thread, torch would set the number anew
    ThreadpoolController().limit(limits=1, user_api="openmp")


@contextmanager
def few_helpers(device: torch.device) -> Iterator[None]:
    """Have the calling thread's operations on the CPU done by a few threads where ``device`` is what computes.

    Weights are prepared in many small operations. Helpers on every core of a large host wait for each other longer than
    they work.
    """
    if device.type == "cpu":
        yield
        return
    count = min(_FEW, torch.get_num_threads())  # asked first for the reason that compute_alone has
    with ThreadpoolController().limit(limits=count, user_api="openmp"):
        yield


def pick_devices(names: str = "auto") -> list[torch.device]:
    """The devices that share a run: one of :func:`pick_device`, several of one kind, or all GPUs.

    Args:
        names: such as ``"cuda:0,cuda:1"``, or ``"cuda:all"``. A device that is named twice works on two things at a
            time.

    Raises:
        UsageError: torch knows no such device, or they are of several kinds, whose results differ.
        ResourceError: one is not there.
    """
    if names == "cuda:all":
        pick_device("cuda")
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    devices = [pick_device(name.strip()) for name in names.split(",")]
    if len({device.type for device in devices}) > 1:
        raise UsageError(f"{names} are devices of several kinds, whose results differ.")
    return devices


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Type of the subnets' arithmetic; ``"auto"`` is bfloat16 where the hardware multiplies it, float32 elsewhere.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in PRECISIONS:
        raise UsageError(f"the precision must be one of {', '.join(PRECISIONS)}, not {name!r}.")
    if name == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return _DTYPES[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        return any(check() for check in checks if check is not None)
    return False


def available_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on ``device``."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)


def usable_cores() -> int:
    """How many of the computer's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory(device: torch.device) -> int:
    """Bytes that a CUDA device has."""
    return int(torch.cuda.get_device_properties(_index(device)).total_memory)


def takes_several_processes(device: torch.device) -> bool:
    """Whether a CUDA device does: on computers that many use, GPUs are often set to serve one process at a time."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    number, mode = ctypes.c_int(), ctypes.c_int(-1)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(number), _index(device)) == 0
    told = found and driver.cuDeviceGetAttribute(ctypes.byref(mode), _COMPUTE_MODE, number) == 0
    return told and mode.value == 0


def used_memory(device: torch.device) -> int:
    """Bytes that this process holds on ``device``: a CUDA device's tensors, or the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


_caps: dict[int, list[int]] = {}
_caps_lock = threading.Lock()


@contextmanager
def memory_cap(device: torch.device, limit: int | None) -> Iterator[None]:
    """Hold what torch takes of a CUDA device, tensors and unused blocks together, below ``limit`` bytes.

    Without it, blocks of all the sizes that were ever needed add up. Other devices, and no limit, change nothing.
    Torch's own limit is the process's: of several threads inside, the smallest limit holds for all.
    """
    if device.type != "cuda" or limit is None:
        yield
        return
    index = _index(device)
    torch.cuda.empty_cache()
    with _caps_lock:
        _caps.setdefault(index, []).append(limit)
        _apply_cap(index)
    try:
        yield
    finally:
        with _caps_lock:
            _caps[index].remove(limit)
            _apply_cap(index)


def is_capped(device: torch.device) -> bool:
    """Whether :func:`memory_cap` holds for the device now."""
    if device.type != "cuda":
        return False
    with _caps_lock:
        return bool(_caps.get(_index(device)))


def give_back_freed_memory(device: torch.device) -> None:
    """Have the process give back what glibc keeps of a CPU's freed memory; changes nothing elsewhere.

    Blocks of up to 32 MiB come from one heap, where what is freed between others stays with the process.
    """
    if device.type == "cpu" and sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _apply_cap(index: int) -> None:
    limits = _caps[index]
    total = total_memory(torch.device("cuda", index))
    torch.cuda.set_per_process_memory_fraction(min(1.0, min(limits) / total) if limits else 1.0, index)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a device or of the computer."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # Torch's CPU allocator, MPS and NVIDIA's libraries raise plain RuntimeErrors.
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def peak_memory(device: torch.device) -> int:
    """The most that :func:`used_memory` has been, since torch's statistics were reset or the process began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent process held when it forked.
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    info = psutil.Process().memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return int(info.peak_wset)  # type: ignore[attr-defined]
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
