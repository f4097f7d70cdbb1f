from __future__ import annotations

from srspace.batch.shares import part


def test_parts_end_where_the_next_ones_begin_and_the_last_one_with_the_whole():
    for count in range(1, 100):
        told: list[float] = []
        for number in range(count):
            report = part(told.append, number / count, (number + 1) / count)
            for share in (0.0, 0.5, 1.0):
                report(share)
        assert told == sorted(told) and told[0] == 0 and told[-1] == 1
        assert told[2:-1:3] == told[3::3]


def test_where_nobody_listens_nothing_is_called():
    assert part(None, 0.0, 0.5) is None
