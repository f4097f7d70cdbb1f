from __future__ import annotations

from pathlib import Path

from srspace.provenance import Provenance, source_key


def test_a_mark_gives_no_name_away():
    packet = Provenance(source_key(Path("secret.png")), {"mode": "mean"}).to_xmp()
    assert b"secret" not in packet and b"srspace" in packet
