"""The page in a browser."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from srspace.report.explore import to_html
from tests.report.conftest import Opened
from tests.report.explore.made import SIZE, space

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(to_html(space()), encoding="utf-8")
    return path


def pixel(opened: Opened, canvas: str, x: float, y: float) -> list[int]:
    """Red, green and blue of a canvas, at a share of its width and height."""
    opened.settle()
    code = """([name, x, y]) => {
        const canvas = document.querySelector(name);
        const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, -Math.floor(x * canvas.width), -Math.floor(y * canvas.height));
        return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }"""
    return opened.page.evaluate(code, [canvas, x, y])


def pane(number: int) -> str:
    return f".pane:nth-child({number}) canvas"


def test_it_opens_at_the_dial_beside_bicubic(opened: Opened):
    assert opened.text("#left-badge") == "bicubic"
    assert opened.text("#right-badge") == "dial 0.75"
    assert pixel(opened, "#left", 0.5, 0.5) == [40] * 3 and pixel(opened, "#right", 0.5, 0.5) == [175] * 3


def test_the_divider_moves_by_mouse_and_keys(opened: Opened):
    page = opened.page
    stage, handle = page.locator("#stage").bounding_box(), page.locator("[slot=handle]").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2

    def shows(share: float, level: int) -> bool:
        """Whether the screen shows that grey level there, as soon as the divider has come to rest."""
        place = (int(stage["x"] + share * stage["width"]), int(stage["y"] + 0.8 * stage["height"]))
        for _ in range(40):
            if Image.open(BytesIO(page.screenshot())).convert("L").getpixel(place) == level:
                return True
            page.wait_for_timeout(50)
        return False

    assert shows(0.3, 40) and shows(0.7, 175)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.9 * stage["width"], y, steps=4)
    page.mouse.up()
    assert shows(0.7, 40)
    assert int(opened.attribute("#slider", "aria-valuenow")) == pytest.approx(90, abs=1)
    page.focus("#slider")
    page.keyboard.press("Home")
    assert shows(0.3, 175) and opened.attribute("#slider", "aria-valuenow") == "0"
    page.keyboard.press("End")
    assert shows(0.7, 40)


def test_the_dial_fades_between_its_pictures(opened: Opened):
    balance = opened.page.locator("#balance")
    for value, level in ((0.0, 100), (0.25, 125), (0.4, 140), (1.0, 200)):
        balance.fill(str(value))
        assert pixel(opened, "#right", 0.5, 0.5)[0] == pytest.approx(level, abs=1)
        assert opened.text("#right-badge") == f"dial {value:.2f}"
    balance.press("ArrowLeft")
    assert opened.text("#balance-value") == "0.99"
    opened.page.check("input[name=mode][value=mean]")
    assert pixel(opened, "#right", 0.5, 0.5) == [90] * 3
    balance.fill("0.5")  # moving the dial goes back to it
    opened.settle()
    assert opened.page.is_checked("input[name=mode][value=dial]")


def test_every_mode_can_be_chosen_on_both_sides(opened: Opened):
    for mode, level in (("bicubic", 40), ("mean", 90), ("candidate", 60), ("original", 230)):
        opened.page.check(f"input[name=mode][value={mode}]")
        assert pixel(opened, "#right", 0.5, 0.5) == [level] * 3
    opened.page.select_option("#left-choice", "dial-0.5")
    assert pixel(opened, "#left", 0.5, 0.5) == [150] * 3


def test_the_magnifier_follows_in_all_panes(opened: Opened):
    page = opened.page
    captions = ["bicubic", "dial 0.75", "original", "where candidates differ", "input"]
    assert page.locator(".pane figcaption").all_text_contents() == captions
    assert pixel(opened, pane(1), 0.5, 0.5) == [40] * 3
    page.focus("#panes")
    for _ in range(4):
        page.keyboard.press("+")
    stage = page.locator("#stage").bounding_box()
    page.mouse.click(stage["x"] + stage["width"] * 10 / SIZE[1], stage["y"] + stage["height"] * 10 / SIZE[0])
    # The white corner, and beside it the pictures' own grey.
    for number, level in ((1, 40), (2, 175), (3, 230), (5, 50)):
        assert pixel(opened, pane(number), 0.5, 0.5) == [255] * 3
        assert pixel(opened, pane(number), 0.9, 0.9) == [level] * 3
    frame = page.locator("#frame").bounding_box()
    assert frame["x"] + frame["width"] / 2 == pytest.approx(stage["x"] + stage["width"] * 10 / SIZE[1], abs=15)
    page.focus("#panes")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    assert pixel(opened, pane(1), 0.5, 0.5) == [40] * 3


def test_the_magnifier_stays_inside_the_picture(opened: Opened):
    page = opened.page
    stage = page.locator("#stage").bounding_box()
    page.mouse.click(stage["x"] + 2, stage["y"] + 2)
    assert pixel(opened, pane(1), 0.01, 0.01) == [255] * 3, "its corner is the picture's"
    opened.settle()
    frame = page.locator("#frame").bounding_box()
    assert frame["x"] >= stage["x"] - 1 and frame["y"] >= stage["y"] - 1


def test_the_zoom_goes_from_100_to_800_percent(opened: Opened):
    page = opened.page
    page.focus("#panes")
    for key, percent in (("-", 100), ("+", 800)):
        for _ in range(8):
            page.keyboard.press(key)
        opened.settle()
        assert opened.text("#zoom-value") == f"{percent} %"
        canvas, frame = page.locator(pane(1)).bounding_box(), page.locator("#frame").bounding_box()
        factor = page.locator("#right").bounding_box()["width"] / SIZE[1]
        assert frame["width"] == pytest.approx(canvas["width"] / (percent / 100) * factor, abs=1)


def test_it_opens_where_candidates_differ_most(opened: Opened):
    page = opened.page
    assert pixel(opened, pane(4), 0.5, 0.5) != pixel(opened, pane(4), 0.02, 0.02)
    stage = page.locator("#stage").bounding_box()
    page.mouse.click(stage["x"] + 5, stage["y"] + 5)
    page.click("#busiest")
    opened.settle()
    stage, frame = page.locator("#stage").bounding_box(), page.locator("#frame").bounding_box()  # the page has scrolled
    x = (frame["x"] + frame["width"] / 2 - stage["x"]) / stage["width"] * SIZE[1]
    y = (frame["y"] + frame["height"] / 2 - stage["y"]) / stage["height"] * SIZE[0]
    assert abs(x - 104) <= 8 and abs(y - 72) <= 8


def test_overlays_appear_with_a_legend(opened: Opened):
    page = opened.page
    assert page.is_hidden("#legend")
    page.check("input[value=spread]")
    calm, busy = pixel(opened, "#right", 0.3, 0.5), pixel(opened, "#right", 104 / SIZE[1], 72 / SIZE[0])
    assert len(set(busy)) == 3 and sum(busy) > sum(calm)
    assert "candidates" in opened.text("#legend-title") and page.is_visible("#legend-bar")
    page.check("input[value=difference]")
    large = pixel(opened, "#right", 0.5, 0.5)
    assert "bicubic" in opened.text("#legend-title")
    page.check("input[name=mode][value=bicubic]")
    assert sum(pixel(opened, "#right", 0.5, 0.5)) < sum(large), "bicubic does not differ from itself"
    page.check("input[name=overlay][value=none]")
    assert pixel(opened, "#right", 0.5, 0.5) == [40] * 3 and page.is_hidden("#legend")


def test_candidates_are_shown_where_the_magnifier_is_and_can_be_chosen(opened: Opened):
    page = opened.page
    thumbs = page.locator(".thumb")
    assert thumbs.count() == 3
    page.mouse.click(*(page.locator("#stage").bounding_box()[k] + 300 for k in "xy"))
    for k in range(3):
        assert pixel(opened, f".thumb:nth-child({k + 1}) canvas", 0.5, 0.5) == [60 + 10 * k] * 3
    thumbs.nth(2).focus()
    page.keyboard.press("Enter")
    assert pixel(opened, "#right", 0.5, 0.5) == [80] * 3
    assert thumbs.nth(2).get_attribute("aria-pressed") == "true"
    assert "candidate 3" in opened.text("#status")


def test_points_of_the_plane_are_clicked_and_reached_by_keys(opened: Opened):
    page = opened.page
    assert page.locator(".point").count() == 9, "all but bicubic, which lies far off"
    page.click(".point[data-key=mean]")
    assert pixel(opened, "#right", 0.5, 0.5) == [90] * 3
    page.focus('.point[data-key="dial-0.25"]')
    page.keyboard.press("Enter")
    assert pixel(opened, "#right", 0.5, 0.5) == [125] * 3
    assert opened.attribute('.point[data-key="dial-0.25"]', "aria-pressed") == "true"
    assert page.locator("tr.chosen").get_attribute("data-key") == "dial-0.25"


def test_the_table_sorts(opened: Opened):
    page = opened.page

    def first() -> str:
        return opened.text("#table tbody tr:first-child th")

    assert first() == "bicubic"
    page.click("#table thead th:nth-child(2) button")
    assert first() == "candidate 3", "the best first"
    page.click("#table thead th:nth-child(2) button")
    assert first() == "bicubic"
    assert opened.attribute("#table thead th:nth-child(2)", "aria-sort") == "ascending"


def test_touch_moves_divider_and_magnifier(browser: Any, path: Path):
    opened = Opened(browser, path, 390, 844, has_touch=True, is_mobile=True)
    page = opened.page
    stage, handle = page.locator("#stage").bounding_box(), page.locator("[slot=handle]").bounding_box()
    touch(opened, (stage["x"] + 40, stage["y"] + 40), (stage["x"] + 80, stage["y"] + 40))
    frame = page.locator("#frame").bounding_box()
    assert frame["x"] + frame["width"] / 2 == pytest.approx(stage["x"] + 80, abs=1)
    assert opened.attribute("#slider", "aria-valuenow") == "50"
    y = handle["y"] + handle["height"] / 2
    touch(opened, (handle["x"] + handle["width"] / 2, y), (stage["x"] + 0.8 * stage["width"], y))
    assert int(opened.attribute("#slider", "aria-valuenow")) == pytest.approx(80, abs=2)
    assert page.locator("#frame").bounding_box() == frame, "the handle moves the divider alone"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    opened.check_quiet()
    opened.close()


def touch(opened: Opened, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag a finger from one place to another."""
    session = opened.context.new_cdp_session(opened.page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", start)
    for k in range(1, 6):
        send("touchMove", tuple(a + k / 5 * (b - a) for a, b in zip(start, end, strict=True)))
    send("touchEnd")
    opened.settle()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_nothing_keeps_anybody_out(browser: Any, path: Path, width: int, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened = Opened(browser, path, width, color_scheme=scheme)
    opened.page.click("summary")
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")] == []
    opened.close()


def test_without_an_original_there_are_no_scores(browser: Any, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(to_html(space(original=False)), encoding="utf-8")
    opened = Opened(browser, path)
    assert opened.page.is_hidden("#scores")
    assert "original" not in opened.page.locator(".pane figcaption").all_text_contents()
    opened.check_quiet()
    opened.close()


def test_a_name_is_text_and_never_markup(browser: Any, tmp_path: Path):
    name = "</script><img src=x onerror=alert(1)>&amp;.png"
    path = tmp_path / "page.html"
    path.write_text(to_html(space(name=name)), encoding="utf-8")
    opened = Opened(browser, path)
    assert opened.text("h1") == f"The SR space of {name}"
    assert opened.page.locator("img").count() == 0
    opened.check_quiet()
    opened.close()
