"""The report pages in a real browser: no error, no request, sorting by keyboard, accessible, no sideways scrolling."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

NAMES = ("model", "plain", "compare", "sweep", "data")
PHONE, DESKTOP = 375, 1200

Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: "Browser", pages: dict[str, Path]) -> Iterator[Visit]:
    """Opens a page; messages of the console, errors and requests to elsewhere fail the test at its end."""
    troubles: list[str] = []
    contexts: list[Any] = []

    def open_page(name: str, width: int = DESKTOP, scheme: Any = "light") -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(request.url))
        page.on("request", lambda request: troubles.append(request.url) if is_foreign(request.url) else None)
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles


def is_foreign(url: str) -> bool:
    return not url.startswith(("file:", "data:"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_from_disk_without_an_error_or_a_request(name: str, visit: Visit) -> None:
    page = visit(name)
    assert page.locator("h1").count() == 1
    assert page.locator("main h2").count() >= 4
    broken = page.evaluate("[...document.images].filter((image) => !image.naturalWidth).length")
    assert broken == 0
    assert name == "data" or (page.locator("img").count() > 0) == (name == "model")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
def test_only_tables_scroll_sideways(name: str, width: int, visit: Visit) -> None:
    page = visit(name, width)
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(name: str, scheme: str, visit: Visit) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(name, DESKTOP, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    # the page's own policy forbids scripts that are added later; Playwright runs axe outside of it
    found = axe.run(page).response
    assert len(found["passes"]) > 20
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []


def column(page: "Page", caption: str, number: int) -> list[str]:
    table = page.locator("table", has=page.locator(f"caption:has-text('{caption}')"))
    return table.locator(f"tbody tr > :nth-child({number})").all_text_contents()


def test_a_table_is_sorted_by_keyboard(visit: Visit) -> None:
    page = visit("plain")
    table = page.locator("table", has=page.locator("caption:has-text('Table 2.')"))
    heads = table.locator("thead th")
    before = column(page, "Table 2.", 1)
    heads.nth(0).locator("button").focus()
    page.keyboard.press("Enter")
    assert heads.nth(0).get_attribute("aria-sort") == "ascending"
    assert column(page, "Table 2.", 1) == sorted(before, key=str.casefold)
    page.keyboard.press("Space")
    assert heads.nth(0).get_attribute("aria-sort") == "descending"
    assert column(page, "Table 2.", 1) == sorted(before, key=str.casefold, reverse=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert [heads.nth(at).get_attribute("aria-sort") for at in (0, 1)] == ["none", "descending"]
    numbers = [int(text) for text in column(page, "Table 2.", 2)]
    assert numbers == sorted(numbers, reverse=True)


def test_numbers_are_sorted_as_numbers_and_missing_ones_stay_last(visit: Visit) -> None:
    page = visit("plain")
    head = page.locator("table", has=page.locator("caption:has-text('Table 4.')")).locator("thead th").nth(1)
    for _ in range(2):
        head.locator("button").click()
        texts = column(page, "Table 4.", 2)
        assert texts[0] != "–" and texts[1:] == ["–", "–"]


def test_the_keyboard_reaches_the_content_and_the_wide_tables(visit: Visit) -> None:
    page = visit("plain", PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('scroll')")


def test_a_page_can_be_printed(visit: Visit) -> None:
    page = visit("model")
    page.emulate_media(media="print")
    assert not page.locator(".sections").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("name", ["model", "sweep"])
def test_what_is_folded_is_open_in_print_and_closed_again(name: str, visit: Visit) -> None:
    page = visit(name)
    open_ones = "[...document.querySelectorAll('details')].map((each) => each.open)"
    page.locator("details summary").first.click()
    before = page.evaluate(open_ones)
    assert before[0] and not all(before)
    page.evaluate(f"addEventListener('beforeprint', () => window.printed = {open_ones})")
    page.pdf(format="A4")
    assert page.evaluate("window.printed") == [True] * len(before)
    assert page.evaluate(open_ones) == before


def test_differences_of_classes_are_sorted_as_numbers_and_marks_stay_before_dashes(visit: Visit) -> None:
    page = visit("compare")
    heads = page.locator("table", has=page.locator("caption:has-text('F1 by class')")).locator("thead th")
    heads.nth(5).locator("button").click()
    numbers = [float(text.replace("−", "-")) for text in column(page, "F1 by class", 6)]
    assert numbers == sorted(numbers, reverse=True)
    for _ in range(2):
        heads.nth(1).locator("button").click()
        marks = [text != "–" for text in column(page, "F1 by class", 2)]
        assert marks == sorted(marks, reverse=True)


def test_the_matrix_of_44_classes_is_whole_on_a_desktop(visit: Visit) -> None:
    page = visit("plain")
    board = page.locator("[aria-label='Confusion matrix']")
    assert board.evaluate("(each) => each.scrollWidth <= each.clientWidth")
