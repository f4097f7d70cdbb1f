from __future__ import annotations

from srspace.config import SamplingConfig
from srspace.sampling.latents import Draw
from srspace.sampling.redraws import Redraws


def test_a_candidate_goes_down_the_ladder_step_by_step():
    redraws = Redraws(0.8, antithetic=False)
    assert redraws.draw(3) == Draw(3, 0.8) and redraws.reports() == []
    seen = []
    for reason in ("first", "second", "third", "fourth"):
        redraws.go_on(3, reason)
        seen.append((redraws.draw(3).temperature, redraws.draw(3).attempt, redraws.reports()[0].reason))
    assert [s[:2] for s in seen] == [(0.8 * 0.75, 1), (0.4, 2), (0.4, 2), (0.4, 2)]
    assert seen[1][2] == "first" and "damaged regions" in seen[2][2] and "encoder" in seen[3][2]
    assert redraws.draw(4) == Draw(4, 0.8) and redraws.stages() == {3: 4}


def test_antithetic_draws_come_in_pairs_redraws_included():
    redraws = Redraws(1.0, antithetic=True)
    assert [redraws.draw(i) for i in range(4)] == [
        Draw(0, 1.0), Draw(0, 1.0, mirrored=True), Draw(2, 1.0), Draw(2, 1.0, mirrored=True),
    ]  # fmt: skip
    redraws.go_on(1, "exploded")
    assert redraws.draw(1) == Draw(0, 0.75, 1, mirrored=True) and redraws.draw(0) == Draw(0, 1.0)


def test_redraws_go_by_how_candidates_are_drawn():
    redraws = Redraws.of(SamplingConfig(temperature=0.7, latents="antithetic"))
    assert redraws.draw(1) == Draw(0, 0.7, mirrored=True)
    assert Redraws.of(SamplingConfig(temperature=0.7)).draw(1) == Draw(1, 0.7)
