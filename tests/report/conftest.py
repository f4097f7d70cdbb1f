"""A browser for pages; tests that need one are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page from disk that keeps what it says on the console and which addresses it asks for."""

    def __init__(self, browser: Any, path: Path, width: int = 1440, height: int = 900, **settings: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = path.as_uri()
        self.load()

    def load(self) -> None:
        """Begin anew: what was done to the page is forgotten, and so is what it said."""
        self.page.mouse.move(0, 0)
        self.page.goto("about:blank")  # loaded over itself, a page keeps what was typed
        self.said.clear()
        self.asked.clear()
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=30_000)

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, selector: str) -> str:
        """What stands there once everything is drawn."""
        self.settle()
        return str(self.page.text_content(selector))

    def attribute(self, selector: str, name: str) -> str:
        """An attribute, likewise."""
        self.settle()
        return str(self.page.get_attribute(selector, name))

    def check_quiet(self) -> None:
        """Nothing on the console, and no request but for the page and what it holds."""
        assert self.said == []
        assert [url for url in self.asked if url != self.address and not url.startswith("data:")] == []

    def close(self) -> None:
        self.context.close()


@pytest.fixture(scope="module")
def window(browser: Any, path: Path) -> Iterator[Opened]:
    """The module's page in a window that all tests share."""
    opened = Opened(browser, path)
    yield opened
    opened.close()


@pytest.fixture
def opened(window: Opened) -> Iterator[Opened]:
    """The module's page, fresh; it must keep quiet."""
    window.load()
    yield window
    window.check_quiet()
