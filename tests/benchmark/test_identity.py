from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srspace import modes
from srspace.benchmark import PROTOCOLS, Row, Settings, external_rows, identity, parse_rows
from srspace.benchmark.identity import Identities
from tests.benchmark.toy_mode import DIAL

# Fingerprints as version 0.1.0 made them before modes were objects: record files of that time must still answer.
KEYS = {
    "bicubic": "4bc1ed6785fed72a5d20f5a6",
    "rrdb": "69a4b37e85f6466e116a71f5",
    "sample:4@0.5": "1672a33b857b46bba9403bac",
    "mean:5@0.9": "1f02c32ad08f5b4a6104bb4b",
    "median:25@0.1": "4f5c6dd165a02757615f2221",
    "fusion-l1:10@0.9": "368dcfb2b7f008d8f2cac42e",
    "fusion-lpips:20@0.9": "ecfc1cd7c127dc0bcd16c868",
    "compare:net": "9c33537421824b51e6b72865",
}
ROWS = "bicubic,rrdb,sample:4@0.5,mean:5,median:25@0.1,fusion-l1,fusion-lpips:20"
CHECKSUMS = {"flow": "f", "fusion-l1": "one", "fusion-lpips": "two", "compare:net": "n"}


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> Identities:
    monkeypatch.setattr(identity, "__version__", "0.1.0")
    monkeypatch.setattr(Identities, "_checksums", CHECKSUMS)
    monkeypatch.setattr(Identities, "_stream", "stream")
    settings = Settings(rows=(), metrics=("psnr",), protocol=PROTOCOLS["y-channel"], seed=3)
    return Identities(settings, scale=4, device=torch.device("cpu"), dtype=torch.bfloat16)


def key(identities: Identities, row: Row) -> str:
    return identities.describe(row, hr="a", lr="MATLAB bicubic, 1/4")[0]


def test_records_of_earlier_versions_are_found(identities: Identities):
    rows = [*parse_rows(ROWS, temperature=0.9, scored=10), *external_rows([Path("net.pth")])]
    assert {row.name: key(identities, row) for row in rows} == KEYS


def test_what_a_mode_is_adjusted_by_is_part_of_the_key(identities: Identities, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modes, "_registered", {DIAL.name: DIAL})
    texts = ("mean:4", "mean:4+latents=antithetic", "toy-dial", "toy-dial+balance=0.25", "toy-dial+latents=antithetic")
    rows = [row for text in texts for row in parse_rows(text, temperature=0.9, scored=10)]
    assert len({key(identities, row) for row in rows}) == len(rows)
    _, described = identities.describe(rows[3], hr="a", lr="b")
    assert described["parameters"] == {"balance": 0.25} and "latents" not in described
