"""Data sets x methods x metrics: the paper's Table 1, and any other model under the same protocol."""

from srspace.benchmark.external import ExternalModel
from srspace.benchmark.protocol import PROTOCOLS, Protocol
from srspace.benchmark.records import Record, RecordFile
from srspace.benchmark.results import Results, read_results
from srspace.benchmark.rows import DEFAULT_ROWS, Row, external_rows, parse_rows
from srspace.benchmark.runner import Benchmark, Settings

__all__ = [
    "DEFAULT_ROWS",
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
