"""One HTML file made of a template, style sheets, scripts and data."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_PACKAGE = "srspace.report"
_SLOT = re.compile(r"\{\{(\w+)\}\}")

# Whatever a page holds, the browser lets no request leave it.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)

BASE_STYLE = "page/assets/base.css"
SLIDER = ("page/vendor/img-comparison-slider/index.js", "page/vendor/img-comparison-slider/styles.css")


@dataclass(frozen=True)
class Document:
    """What a page is made of; files are named below ``srspace/report``.

    Attributes:
        title: of the window.
        template: what stands in the body; ``{{name}}`` marks a slot.
        styles: style sheets, after the base style.
        scripts: joined in this order to one module, so that they share their names and leave none behind.
        libraries: scripts of others, each on its own, before ours.
        slots: what the slots hold: plain text, which is escaped.
        markup: the same as HTML, which is not.
        data: what the scripts read from the element ``#data``.
    """

    title: str
    template: str
    styles: Sequence[str]
    scripts: Sequence[str]
    data: Mapping[str, Any]
    libraries: Sequence[str] = ()
    slots: Mapping[str, str] | None = None
    markup: Mapping[str, str] | None = None

    def html(self) -> str:
        """The whole page."""
        filled = {name: html.escape(text) for name, text in (self.slots or {}).items()} | dict(self.markup or {})
        body = _SLOT.sub(lambda match: filled[match[1]], asset(self.template))
        styles = "\n".join(asset(name) for name in (BASE_STYLE, *self.styles))
        libraries = "".join(f"<script>{_script(asset(name))}</script>\n" for name in self.libraries)
        script = _script("\n".join(asset(name) for name in self.scripts))
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>\n{styles}\n</style>\n</head>\n<body>\n{body}\n"
            f'<script type="application/json" id="data">{_json(self.data)}</script>\n'
            f'{libraries}<script type="module">\n{script}\n</script>\n</body>\n</html>\n'
        )


@cache
def asset(name: str) -> str:
    """The text of a file below ``srspace/report``."""
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _json(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the element that it stands in, whatever file names it holds."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _script(text: str) -> str:
    """A script without the address of its source map, which a browser's tools would ask for."""
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE)
    if "</script" in text.lower():
        raise ValueError("a script would end its own element")
    return text
