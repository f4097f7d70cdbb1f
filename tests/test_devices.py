from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from srspace.devices import (
    compute_alone,
    few_helpers,
    give_back_freed_memory,
    is_capped,
    memory_cap,
    out_of_memory,
    pick_device,
    pick_devices,
    pick_precision,
    takes_several_processes,
    used_memory,
)
from srspace.errors import ResourceError, UsageError


@pytest.fixture
def fractions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """What torch is told of the share of an 80 GiB card that it may take."""
    told: list[tuple[float, int]] = []
    total = type("Properties", (), {"total_memory": 80 << 30})
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: total)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: told.append(given))
    return told


def test_the_cap_on_a_cuda_device_is_lifted_again(fractions: list[tuple[float, int]]):
    for device, limit in (("cpu", 1 << 30), ("cuda", None)):
        with memory_cap(torch.device(device), limit):
            assert not fractions
    with pytest.raises(KeyError), memory_cap(torch.device("cuda"), 4 << 30):
        assert fractions == [(0.05, 3)]
        raise KeyError
    assert fractions == [(0.05, 3), (1.0, 3)]
    with memory_cap(torch.device("cuda:1"), 160 << 30):
        assert fractions[2:] == [(1.0, 1)]


def test_of_several_caps_the_smallest_holds(fractions: list[tuple[float, int]]):
    with memory_cap(torch.device("cuda:0"), 8 << 30):
        with memory_cap(torch.device("cuda:0"), 4 << 30):
            pass
        with memory_cap(torch.device("cuda:0"), 16 << 30):
            pass
    assert [share for share, _ in fractions] == [0.1, 0.05, 0.1, 0.1, 0.1, 1.0]


def test_a_device_may_be_set_to_take_one_process_at_a_time(monkeypatch: pytest.MonkeyPatch):
    def device(handle, ordinal: int) -> int:
        handle._obj.value = 10 + ordinal
        return 0

    def attribute(value, kind: int, handle: ctypes.c_int) -> int:
        assert kind == 20
        value._obj.value = {10: 0, 11: 3, 12: 0}[handle.value]
        return 1 if handle.value == 12 else 0

    driver = SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGet=device, cuDeviceGetAttribute=attribute)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert [takes_several_processes(torch.device("cuda", index)) for index in range(3)] == [True, False, False]

    def missing(name: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not takes_several_processes(torch.device("cuda", 0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_an_nvidia_driver_tells_how_a_device_is_set():
    assert takes_several_processes(torch.device("cuda", 0))  # unless its owner restricts it


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_has_many_names(error: Exception, expected: bool):
    assert out_of_memory(error) is expected


def test_torch_says_so_when_the_computer_has_not_that_much():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert out_of_memory(caught.value)


def test_devices_and_precisions_that_are_not_there_are_refused():
    with pytest.raises(UsageError, match="not a device"):
        pick_device("gpu")
    with pytest.raises(UsageError, match="precision"):
        pick_precision("half", torch.device("cpu"))
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="not available"):
            pick_device("cuda")


def test_several_devices_are_of_one_kind(monkeypatch: pytest.MonkeyPatch):
    assert pick_devices("cpu,cpu") == [torch.device("cpu")] * 2
    assert pick_devices("cpu") == [torch.device("cpu")] == pick_devices("cpu, cpu")[:1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert pick_devices("cuda:all") == [torch.device("cuda", index) for index in range(3)]
    assert pick_devices("cuda:0,cuda:2") == [torch.device("cuda", 0), torch.device("cuda", 2)]
    with pytest.raises(UsageError, match="several kinds"):
        pick_devices("cuda:0,cpu")
    with pytest.raises(ResourceError, match="cuda:3 is not available"):
        pick_devices("cuda:0,cuda:3")


def test_all_gpus_of_a_computer_without_any(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="not available"):
        pick_devices("cuda:all")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_given_back():
    cpu = torch.device("cpu")
    torch.ones(30 << 18)  # once that is freed, glibc puts all blocks up to this size into its heap
    before = used_memory(cpu)
    blocks = [torch.ones(8 << 18) for _ in range(40)]
    last = blocks.pop()  # what is freed below it is a hole
    blocks.clear()
    assert used_memory(cpu) - before > 200 << 20, "or else nothing is needed"
    give_back_freed_memory(cpu)
    assert used_memory(cpu) - before < 40 << 20
    assert len(last) == 8 << 18


def test_a_thread_that_computes_alone_leaves_the_others_their_helpers():
    def count_in_a_new_thread(begin: Callable[[], None]) -> int:
        with ThreadPoolExecutor(1, initializer=begin) as pool:
            return pool.submit(torch.get_num_threads).result()

    before = torch.get_num_threads()
    assert count_in_a_new_thread(compute_alone) == 1
    assert torch.get_num_threads() == before == count_in_a_new_thread(lambda: None)


def test_where_a_gpu_computes_weights_are_prepared_by_a_few_threads(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    monkeypatch.setattr("srspace.devices._FEW", before - 1 or 1)
    with few_helpers(torch.device("cpu")):
        assert torch.get_num_threads() == before
    with few_helpers(torch.device("cuda")):
        assert torch.get_num_threads() == (before - 1 or 1)
    monkeypatch.setattr("srspace.devices._FEW", before + 1)
    with few_helpers(torch.device("cuda")):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_a_device_is_capped_while_a_limit_holds(fractions: list[tuple[float, int]]):
    one, other = torch.device("cuda", 0), torch.device("cuda", 1)
    with memory_cap(one, 10 << 30):
        assert is_capped(one) and not is_capped(other) and not is_capped(torch.device("cpu"))
    assert not is_capped(one)
