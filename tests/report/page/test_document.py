from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from srspace.report.page.document import SLIDER, Document, asset

VENDOR = Path(str(files("srspace.report").joinpath("page/vendor")))


def document(**changes: object) -> Document:
    given: dict[str, object] = {
        "title": "a < b",
        "template": "explore/assets/explore.html",
        "styles": (),
        "scripts": ("page/assets/table.js",),
        "slots": {"name": "<b>&", "summary": "", "version": "1"},
        "data": {"name": "</script><!--"},
    }
    return Document(**(given | changes))  # type: ignore[arg-type]


def test_text_is_escaped_everywhere():
    page = document().html()
    assert "<title>a &lt; b</title>" in page and "&lt;b&gt;&amp;" in page
    data = re.search(r'id="data">(.*?)</script>', page)
    assert data is not None and data[1] == '{"name":"\\u003c/script>\\u003c!--"}'


def test_the_policy_lets_no_request_out():
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', document().html())
    assert policy is not None and "default-src 'none'" in policy[1]
    assert "http" not in policy[1] and "*" not in policy[1] and "connect-src" not in policy[1]


def test_source_maps_are_not_asked_for():
    page = document(libraries=SLIDER[:1]).html()
    assert "sourceMappingURL" in asset(SLIDER[0]) and "sourceMappingURL" not in page


def test_a_script_cannot_end_its_element(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("srspace.report.page.document.asset", lambda name: "'</SCRIPT>'")
    with pytest.raises(ValueError, match="end its own element"):
        document(template="t").html()


def test_every_vendored_package_has_its_licence_and_is_listed():
    listed = VENDOR.joinpath("README.md").read_text(encoding="utf-8")
    folders = [path for path in VENDOR.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    for folder in folders:
        assert "Permission is hereby granted" in (folder / "LICENSE").read_text(encoding="utf-8")
        assert f"| `{folder.name}` |" in listed
