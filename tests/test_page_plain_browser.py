"""The page in Chromium without JavaScript, and on paper: all of it can be read, the end of the output first of all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import PROGRAM, Chromium, Tab, one_browser
from whole_system import WholeSystem
from workbench import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here")]

CRASH = """
import pathlib, sys
with pathlib.Path("runs").open("a") as runs:
    runs.write("x")
for number in range(80):
    print(f"step {number}")
print("no database", flush=True)
sys.exit(3)
"""

browser = pytest.fixture(scope="module")(one_browser)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path_factory.mktemp("plain"))
    made.program("crash.py", CRASH)
    made.service("shop", "web: exec python3 crash.py", restart="never", setup="", remote=False)
    try:
        made.begin_all()
        made.refused("start", "shop")
        yield made
    finally:
        made.end()


@pytest.fixture
def tab(browser: Chromium, system: WholeSystem) -> Tab:
    """Where a person without JavaScript looks at it."""
    tab: Tab = browser.tab()
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    tab.look(1000, 800, "light", "en")
    tab.open(f"http://{system.host('shop')}/")
    assert "shop has crashed" in tab.text
    return tab


LAST_LINE = "[...document.querySelectorAll('.log .line')].at(-1).getBoundingClientRect()"
LOG = "document.querySelector('.log').getBoundingClientRect()"


def on_paper(tab: Tab, scheme: str = "light") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.ask("Emulation.setEmulatedMedia", media="print", features=features)


def test_without_javascript_the_output_is_seen_at_its_end(tab: Tab) -> None:
    assert tab.run("document.querySelector('.log').scrollHeight > document.querySelector('.log').clientHeight")
    assert tab.run("[...document.querySelectorAll('.log .line')].at(-1).textContent") == "no database\n"
    assert tab.run(f"{LAST_LINE}.bottom <= {LOG}.bottom && {LAST_LINE}.top >= {LOG}.top")


def test_with_javascript_it_stays_there_while_lines_come(browser: Chromium, system: WholeSystem) -> None:
    tab = browser.tab()
    tab.look(1000, 800, "light", "en")
    tab.open(f"http://{system.host('shop')}/")
    tab.until("document.querySelectorAll('.log .line').length === 50")
    tab.until(f"{LAST_LINE}.bottom <= {LOG}.bottom && {LAST_LINE}.top >= {LOG}.top")


def test_without_javascript_the_button_starts_it(tab: Tab, system: WholeSystem) -> None:
    runs = system.root / "runs"
    before = len(runs.read_text())
    tab.press("Tab")
    tab.press("Enter")
    wait_until(lambda: len(runs.read_text()) == before + 1, "it was started anew")
    tab.until("document.body.innerText.includes('shop has crashed')")
    assert tab.url == f"http://{system.host('shop')}/"


def test_paper_has_every_line_of_the_output_and_nothing_to_press(tab: Tab) -> None:
    on_paper(tab)
    assert tab.run("document.querySelector('.log').scrollHeight === document.querySelector('.log').clientHeight")
    assert tab.run("getComputedStyle(document.querySelector('.press')).display") == "none"
    assert tab.run("document.documentElement.scrollWidth <= 1000")


def test_paper_is_white_and_its_ink_dark_whatever_the_screen_is(tab: Tab) -> None:
    on_paper(tab, "dark")
    assert tab.run("getComputedStyle(document.body).color") == "rgb(29, 31, 33)"
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
