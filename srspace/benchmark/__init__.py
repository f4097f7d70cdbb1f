"""Data sets x methods x metrics: the paper's Table 1, and any other model under the same protocol.

What measures is loaded on first use: reading records and results needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from srspace.benchmark.protocol import PROTOCOLS, Protocol
from srspace.benchmark.records import Record, RecordFile
from srspace.benchmark.results import Results, read_results
from srspace.benchmark.rows import Row, external_rows, parse_rows
from srspace.benchmark.settings import Settings

_LAZY = {
    "Benchmark": "srspace.benchmark.runner",
    "ExternalModel": "srspace.benchmark.external",
}

__all__ = [
    "PROTOCOLS",
    "Benchmark",
    "ExternalModel",
    "Protocol",
    "Record",
    "RecordFile",
    "Results",
    "Row",
    "Settings",
    "external_rows",
    "parse_rows",
    "read_results",
]

if TYPE_CHECKING:
    from srspace.benchmark.external import ExternalModel
    from srspace.benchmark.runner import Benchmark


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'srspace.benchmark' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
