from __future__ import annotations

from tests import fuzz_files


def test_damaged_files_end_in_a_picture_or_a_sentence():
    tally = fuzz_files.run(300, first=20_000, workers=1, part=300)
    assert tally.faults == [] and tally.outcomes.total() == 300
    assert tally.outcomes["read"] > 20 and tally.outcomes["refused"] > 100


def test_a_file_depends_on_its_number_alone():
    import random

    data = b"0123456789" * 10
    assert fuzz_files.damaged(data, random.Random(5), [data]) == fuzz_files.damaged(data, random.Random(5), [data])


def test_a_fault_is_told_with_its_number(monkeypatch):
    def broken(*_: object) -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(fuzz_files, "tried", broken)
    tally = fuzz_files.work(range(3))
    assert len(tally.faults) == 3 and all("a bug" in fault for fault in tally.faults)
