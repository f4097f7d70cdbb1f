"""The page of a benchmark in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srspace.report.comparison import bootstrap
from srspace.report.summary import Crop, Example, to_html
from tests.report.conftest import Opened
from tests.report.made import results, table_1

pytestmark = pytest.mark.xdist_group("browser")


def example(name: str, best: bool) -> Example:
    image = np.full((16, 16, 3), 90, np.uint8)
    return Example(name, best, [Crop("", "original", image), Crop("mean:5@0.9", "mean 5", image, 0.25)])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(to_html(table_1(), [example("a<b", True), example("z", False)]), encoding="utf-8")
    return path


def test_the_table_has_means_and_intervals_and_sorts(opened: Opened):
    page = opened.page
    scores = np.array(list(table_1().scores("mean:5@0.9", "psnr").values()))
    low, high = bootstrap(scores)
    cell = page.text_content('tr[data-key="mean:5@0.9"] td:nth-child(2)')
    assert cell == f"{scores.mean():.3f}{low:.3f} to {high:.3f}"

    def labels() -> list[str]:
        return page.locator("tbody th").all_text_contents()

    assert labels()[0] == "rrdb"
    page.click("thead th:nth-child(3) button")
    assert labels()[0] == "fusion-lpips", "LPIPS: the smallest first"
    page.click("thead th:nth-child(2) button")
    assert labels()[0] in ("mean 25", "sample tau 0.1") and labels()[-1] == "ESRGAN+"
    assert page.locator("td.best").count() >= 2


def test_a_row_is_found_everywhere(opened: Opened):
    page = opened.page
    page.click('tr[data-key="mean:5@0.9"] button')
    assert page.get_attribute('.point[data-key="mean:5@0.9"]', "aria-pressed") == "true"
    assert page.locator("figure.chosen").count() == 2
    page.click('.point[data-key="rrdb"]')
    assert page.text_content("#chosen") == "rrdb: PSNR 29.102, LPIPS vgg 0.3050"
    assert page.locator("tr.chosen").get_attribute("data-key") == "rrdb"


def test_the_plane_has_every_row_and_the_paths(opened: Opened):
    assert opened.page.locator(".point").count() == 11
    assert opened.page.locator("polyline.path").count() >= 2


def test_pictures_have_captions_and_texts_for_the_blind(opened: Opened):
    page = opened.page
    assert page.locator("h3").all_text_contents() == ["Among the best: a<b", "Among the worst: z"]
    assert page.locator("figcaption").all_text_contents() == ["original", "mean 5 (0.250)"] * 2
    assert page.locator("img").first.get_attribute("alt") == "a<b, original"


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_nothing_keeps_anybody_out(browser: Any, path: Path, width: int, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened = Opened(browser, path, width, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")] == []
    opened.close()


def test_one_image_has_no_interval_and_few_metrics_no_plane():
    page = to_html(results({"rrdb": {"i": {"psnr": 29.0}}}, metrics=["psnr"]))
    assert '"note":""' in page and '"plane":null' in page
