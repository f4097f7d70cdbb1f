from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from srspace.benchmark import Record, RecordFile, read_results
from srspace.errors import DataError, OutputError
from tests.report.made import results as made


def test_results_survive_json_even_an_infinite_psnr(tmp_path: Path):
    record = Record("k", "d", "i", "bicubic", {"psnr": math.inf, "ssim": 1.0}, {"psnr": [math.inf, 30.0]})
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record
    RecordFile(tmp_path / "r.jsonl").append(record)
    assert RecordFile(tmp_path / "r.jsonl").load() == {"k": record}
    with pytest.raises(OutputError):
        RecordFile(tmp_path).append(record)


def test_a_torn_line_is_closed_before_the_next(tmp_path: Path):
    records = [Record(key, "d", "i", "bicubic", {"psnr": 1.0}) for key in "abc"]
    file = RecordFile(tmp_path / "r.jsonl")
    for record in records[:2]:
        file.append(record)
    file.path.write_bytes(file.path.read_bytes()[:-9])  # as a killed run leaves it
    file.append(records[2])
    assert file.load() == {"a": records[0], "c": records[2]}


def test_files_that_are_no_results_are_refused(tmp_path: Path):
    path = tmp_path / "a.json"
    for text, words in (
        ("[]", "does not hold the results of a benchmark"),
        ("{", "is not JSON"),
        ('{"schema": "srspace-bench/1"}', "damaged"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            read_results(path)


def test_precision_has_one_word_also_where_older_files_spell_it_out(tmp_path: Path):
    record = Record("k", "d", "i", "mean:2@0.9", {"psnr": 1.0}, settings={"precision": "bfloat16", "seed": 0})
    RecordFile(tmp_path / "r.jsonl").append(record)
    assert RecordFile(tmp_path / "r.jsonl").load()["k"].settings == {"precision": "bf16", "seed": 0}
    results = made({"mean:2@0.9": {"i": {"psnr": 1.0}}}, precision="float16")
    (tmp_path / "a.json").write_text(json.dumps(results.to_json()))
    assert read_results(tmp_path / "a.json").precision == "fp16"


def test_of_memory_the_largest_figure_counts_and_of_others_the_mean():
    results = made({"rrdb": {"a": {"memory": 3.0, "seconds": 3.0}, "b": {"memory": 5.0, "seconds": 5.0}}})
    assert results.mean("rrdb", "memory") == 5 and results.mean("rrdb", "seconds") == 4
    assert results.mean("rrdb", "psnr") is None
