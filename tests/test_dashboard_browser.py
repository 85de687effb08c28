"""The dashboard's page as people have it: in a real browser, by clicks and keys, as wide as a laptop and as a phone."""

from __future__ import annotations

import http.client
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chromium import PROGRAM, Chromium, Tab, one_browser
from dashboard_page import Page
from workbench import ROOT, Site, brought_up, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here")]

VIEWS = ("services", "services?name=shop", "logs", "map", "requests", "inspect", "events", "identities", "doctor")
AXE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stores-tests/node_modules/axe-core/axe.min.js"
_numbers = itertools.count(1)

#: Says what it is told to, takes events once it is told to, and answers.
SHOP = r"""
import http.server, os, urllib.parse
class Answer(http.server.BaseHTTPRequestHandler):
    takes, heard = True, []
    def do_GET(self):
        path, _, query = self.path.partition("?")
        values = dict(urllib.parse.parse_qsl(query))
        if path == "/say":
            for number in range(int(values.get("times", 1))):
                print(values["text"].replace("#", str(number)))
        elif path == "/refuse":
            Answer.takes = False
        elif path == "/take":
            Answer.takes = True
        self.answer(200, "\n".join(Answer.heard))
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if Answer.takes:
            Answer.heard.append(self.headers.get("ce-id", "?"))
        self.answer(204 if Answer.takes else 400, "")
    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


class Shop(Page):
    """The site's dashboard, and its one real service."""

    def get_as(self, name: str, path: str, method: str = "GET", body: str = "", **fields: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        path = quote(path, safe="/?&=%")
        headers = {"Host": f"{name}.localhost:{self.port}"} | {
            key.replace("_", "-"): one for key, one in fields.items()
        }
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status < 300, text
        return text

    def say(self, text: str, times: int = 1) -> None:
        self.get_as("shop", f"/say?times={times}&text={text}")

    def publish(self) -> str:
        """An event's id."""
        made = f"browser-{next(_numbers)}"
        event = {"specversion": "1.0", "id": made, "source": "/tests", "type": "order.placed", "data": {"yen": 980}}
        self.get_as("events", "/v1/events", "POST", json.dumps(event), Content_Type="application/cloudevents+json")
        return made

    def heard(self) -> list[str]:
        return self.get_as("shop", "/").split()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.program("shop.py", SHOP)
    made.service("shop", "web: python3 -u shop.py\n", subscribe=["order.*"], deliver="/events", description="A shop")
    made.service("broken", "web: echo the disk is on fire; exit 3\n", restart="never", remote=False)
    made.service("idle", "web: sleep 1000\n", remote=False)
    (made.root / "stores.toml").write_text(
        '[groups]\nboth = ["shop", "broken"]\n[identity.alice]\nsub = "u-1"\n[identity.bob]\nsub = "u-2"\n'
    )
    with brought_up(made, "shop"):
        yield made


@pytest.fixture(scope="module")
def shop(site: Site) -> Shop:
    return Shop(site)


browser = pytest.fixture(scope="module")(one_browser)


@pytest.fixture
def visit(browser: Chromium, shop: Shop) -> Iterator[Any]:
    """Opens a view as who came by `stores open`. Nobody's console may complain."""
    tabs: list[Tab] = []

    def open_view(view: str, language: str = "en", width: int = 1280, height: int = 800, scheme: str = "light") -> Tab:
        tab = browser.tab()
        tabs.append(tab)
        tab.ask("Emulation.setUserAgentOverride", userAgent="Chrome", acceptLanguage=language)
        tab.look(width, height, scheme, language)
        ticket = shop.post("/api/v1/tickets", {})["ticket"]
        tab.open(f"http://{shop.host}/{view}#ticket={ticket}")
        tab.until(
            "document.querySelector('.live').innerText && !!document.querySelector('#view > .view:not(.banners)')"
        )
        return tab

    yield open_view
    for tab in tabs:
        # Chromium itself notes every answer of 4xx; that a start may fail is no fault of the page
        assert [one for one in tab.complaints() if "status of 409" not in one] == []
        tab.open("about:blank")


def row(name: str) -> str:
    return f"document.querySelector('[data-name={name}]')"


def press(tab: Tab, key: str) -> None:
    """A key, as from a keyboard."""
    text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
    code = {"Escape": 27, "Enter": 13, "Tab": 9}.get(key, 0)  # what the browser itself does for a key goes by its code
    tab.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
    tab.ask("Input.dispatchKeyEvent", type="keyUp", key=key)


def click(tab: Tab, element: str) -> None:
    tab.until(f"!!{element} && !{element}.disabled")
    tab.run(f"{element}.click()")


def test_who_comes_without_a_ticket_is_told_what_to_type(browser: Chromium, shop: Shop) -> None:
    tab = browser.tab()
    tab.ask("Emulation.setUserAgentOverride", userAgent="Chrome", acceptLanguage="en")
    tab.open(f"http://{shop.host}/")
    tab.until("document.querySelector('#view h1')?.innerText === 'This browser is not signed in'")
    assert "stores open" in tab.text
    # a ticket in the same window, as a browser that is open already gets it: the document is not loaded anew
    ticket = shop.post("/api/v1/tickets", {})["ticket"]
    tab.run(f"location.hash = 'ticket={ticket}'")
    tab.until(f"{row('shop')}.innerText.includes('running')")
    assert "ticket" not in tab.url
    tab.open("about:blank")


def test_who_signs_out_is_a_stranger_again(browser: Chromium, shop: Shop) -> None:
    tab = browser.tab()
    tab.ask("Emulation.setUserAgentOverride", userAgent="Chrome", acceptLanguage="en")
    tab.open(f"http://{shop.host}/logs#ticket={shop.post('/api/v1/tickets', {})['ticket']}")
    click(tab, "document.querySelector('#top .looks button:last-child')")
    click(tab, "[...document.querySelectorAll('#help button')].find((one) => one.innerText === 'Sign out')")
    tab.until("document.querySelector('#view h1')?.innerText === 'This browser is not signed in'")
    tab.open("about:blank")


def test_a_service_is_stopped_started_and_restarted_by_clicks(visit: Any, site: Site) -> None:
    tab = visit("services")
    pid = site.process("shop.web")["pid"]
    click(tab, f"{row('shop')}.querySelector('[aria-label=\"Stop shop\"]:not([hidden])')")
    tab.until(f"{row('shop')}.innerText.includes('stopped')")
    assert site.process("shop.web")["state"] == "stopped"
    tab.until("document.getElementById('said').innerText.includes('shop is stopped')")
    click(tab, f"{row('shop')}.querySelector('[aria-label=\"Start shop\"]:not([hidden])')")
    tab.until(f"{row('shop')}.innerText.includes('running')")
    again = site.process("shop.web")["pid"]
    click(tab, f"{row('shop')}.querySelector('[aria-label=\"Restart shop\"]:not([hidden])')")
    wait_until(lambda: site.process("shop.web")["pid"] not in {None, pid, again}, "shop has another PID")
    tab.until(f"{row('shop')}.innerText.includes('running')")


def test_what_cannot_be_started_says_why_in_its_row_and_aloud(visit: Any) -> None:
    tab = visit("services")
    click(tab, f"{row('broken')}.querySelector('[aria-label=\"Start broken\"]:not([hidden])')")
    tab.until("document.querySelector('#notices [role=alert]')?.innerText.includes('broken could not be started')")
    tab.until(f"{row('broken')}.innerText.includes('failed') && {row('broken')}.querySelector('.why').innerText !== ''")
    assert "exit" in tab.run(f"{row('broken')}.querySelector('.why').innerText") + tab.run(
        "document.querySelector('#notices').innerText"
    )
    # the way to the views says it, too, wherever one is
    tab.until("document.querySelector('#views .count').innerText === '1'")


def test_a_group_narrows_the_list_and_is_what_is_started(visit: Any, site: Site) -> None:
    tab = visit("services")
    click(tab, "[...document.querySelectorAll('.chips button')].find((one) => one.innerText === 'both')")
    tab.until(f"!{row('idle')} && !!{row('broken')} && !!{row('shop')}")
    assert "group=both" in tab.url
    tab.run("document.querySelector('#view input[type=search]').value = 'shop'")
    tab.run("document.querySelector('#view input[type=search]').dispatchEvent(new Event('input'))")
    tab.until(f"!{row('broken')}")
    site.ok("stop", "shop")
    click(tab, "[...document.querySelectorAll('.bar.end button')].find((one) => one.innerText === 'Start')")
    tab.until(f"{row('shop')}.innerText.includes('running')")


def test_rows_are_kept_while_what_they_say_changes(visit: Any, site: Site) -> None:
    tab = visit("services")
    tab.until(f"!!{row('shop')} && !!(window.before = {row('shop')})")
    tab.until("/MB/.test(window.before.innerText)")  # its cost came
    site.ok("restart", "shop")
    tab.until(f"window.before.innerText.includes('running') && {row('shop')} === window.before")


def test_details_say_all_that_is_known_and_what_happened(visit: Any, site: Site) -> None:
    tab = visit("services?name=shop")
    tab.until("document.querySelector('.detail')?.innerText.includes('Procfile.d/shop')")
    said = tab.run("document.querySelector('.detail').innerText")
    process = site.process("shop.web")
    assert str(process["pid"]) in said
    assert str(process["port"]) in said
    assert "shop.local.example.com" in said
    tab.until("document.querySelector('.marks')?.innerText.includes('running')")


def test_logs_follow_until_one_scrolls_up_and_again_at_the_end(visit: Any, shop: Shop) -> None:
    tab = visit("logs?targets=shop")
    tab.until("document.querySelector('.follow').getAttribute('aria-pressed') === 'true'")
    shop.say("early-%23", times=200)
    lines = "[...document.querySelectorAll('.lines .slot')].map((one) => one.innerText).join('\\n')"
    tab.until(f"{lines}.includes('early-199')")
    at_end = """(() => {
        const { scrollHeight, scrollTop, clientHeight } = document.querySelector('.lines');
        return scrollHeight - scrollTop - clientHeight < 40;
    })()"""
    tab.until(at_end)
    tab.run("document.querySelector('.lines').scrollTop -= 1500")
    tab.until("document.querySelector('.follow').getAttribute('aria-pressed') === 'false'")
    stands = tab.run("document.querySelector('.lines').scrollTop")
    shop.say("late-%23", times=50)
    tab.until("Number(document.querySelector('.bar .does').innerText.replace(/\\D/g, '')) >= 250")
    assert tab.run("document.querySelector('.lines').scrollTop") == stands
    click(tab, "document.querySelector('.floating:not([hidden])')")
    tab.until(f"{lines}.includes('late-49') && {at_end}")


def test_logs_are_coloured_as_the_service_wrote_them_and_searched_by_the_gateway(visit: Any, shop: Shop) -> None:
    shop.say("%1b[31mred alert%1b[0m <b>no markup</b>")
    shop.say("nothing to see")
    tab = visit("logs?targets=shop&q=ALERT")
    tab.until("document.querySelector('.lines .red mark')?.innerText === 'alert'")
    assert not tab.run("!!document.querySelector('.lines b')")
    assert "nothing to see" not in tab.run("document.querySelector('.lines').innerText")
    tab.run("document.querySelector('#view input[type=search]').value = ''")
    tab.run("document.querySelector('#view input[type=search]').dispatchEvent(new Event('input'))")
    tab.until("document.querySelector('.lines').innerText.includes('nothing to see')")


def test_a_hundred_thousand_lines_stand_in_a_few_rows(visit: Any, shop: Shop) -> None:
    tab = visit("logs?targets=shop")
    tab.until("document.querySelector('.follow').getAttribute('aria-pressed') === 'true'")
    shop.say("flood-%23", times=100_000)
    tab.until("document.querySelector('.lines').innerText.includes('flood-99999')")
    assert tab.run("document.querySelectorAll('.lines .slot').length") < 120
    # what came too fast is said, and stands in the file: nothing is lost
    told = "Number(document.querySelector('.bar .does').innerText.replace(/\\D/g, ''))"
    assert tab.run(told) > 500
    tab.run("document.querySelector('.lines').scrollTop = 0")
    tab.until("document.querySelector('.lines .slot')?.innerText !== ''")


def test_the_map_and_the_list_tell_of_a_request_that_passed(visit: Any, shop: Shop) -> None:
    tab = visit("map")
    wait_until(lambda: shop.get("/api/v1/traffic")["recording"], "the gateway notes requests")
    shop.get_as("shop", "/counted", User_Agent="Mozilla/5.0")
    tab.until("document.querySelector('.map .node.local').textContent.includes('shop')")
    tab.until("[...document.querySelectorAll('tbody tr')].some((one) => one.innerText.includes('shop'))")
    tab.run("document.querySelector('#views a[href=\"/requests\"]').click()")
    found = "[...document.querySelectorAll('.asked .slot')].find((one) => one.innerText.includes('/counted'))"
    click(tab, found)
    tab.until("document.querySelector('.detail:not([hidden])')?.innerText.includes('Waterfall')")
    assert tab.run("document.querySelectorAll('.fall li').length") >= 1


def test_a_service_is_inspected_and_a_request_replayed_by_clicks(visit: Any, shop: Shop) -> None:
    tab = visit("inspect")
    chip = "[...document.querySelectorAll('.chips button')].find((one) => one.innerText.startsWith('shop'))"
    click(tab, chip)
    tab.until(f"{chip}.getAttribute('aria-pressed') === 'true'")
    shop.get_as("shop", "/looked-into?at=me")
    click(tab, "[...document.querySelectorAll('.seen .slot')].find((one) => one.innerText.includes('/looked-into'))")
    tab.until("document.querySelector('.detail').innerText.includes('Request · HTTP/1.1')")
    click(tab, "[...document.querySelectorAll('.detail button')].find((one) => one.innerText === 'Replay')")
    seen = "[...document.querySelectorAll('.seen .slot')]"
    tab.until(f"{seen}.filter((one) => one.innerText.includes('/looked-into')).length > 1")
    click(tab, chip)
    tab.until(f"{chip}.getAttribute('aria-pressed') === 'false'")


def test_an_event_is_shown_and_replayed_by_a_click(visit: Any, shop: Shop) -> None:
    tab = visit("events")
    made = shop.publish()
    wait_until(lambda: shop.heard().count(made) == 1, "the event is delivered")
    click(tab, "document.querySelector('tr.pick')")
    tab.until(f"document.querySelector('.detail pre')?.innerText.includes('{made}')")
    click(tab, "[...document.querySelectorAll('.detail button')].find((one) => one.innerText === 'Replay to shop')")
    wait_until(lambda: shop.heard().count(made) == 2, "the event is delivered again")


def test_a_dead_letter_is_tried_again_and_a_subscription_paused(visit: Any, shop: Shop) -> None:
    tab = visit("events")
    shop.get_as("shop", "/refuse")
    made = shop.publish()
    again = "document.querySelector('[aria-label^=\"Try again: shop\"]')"
    tab.until(f"!!{again}")
    shop.get_as("shop", "/take")
    click(tab, again)
    wait_until(lambda: made in shop.heard(), "the dead letter is delivered")
    tab.until(f"!{again}")
    click(tab, "document.querySelector('[aria-label=\"Pause: shop\"]')")
    tab.until("document.querySelector('tbody .badge').innerText === 'paused'")
    held = shop.publish()
    tab.until("document.querySelector('tbody tr').innerText.includes('\\t1\\t')")
    click(tab, "document.querySelector('[aria-label=\"Resume: shop\"]:not([hidden])')")
    wait_until(lambda: held in shop.heard(), "what waited is delivered")


def test_the_event_log_says_where_it_is_and_what_is_wrong_with_it(visit: Any, site: Site) -> None:
    tab = visit("events")
    log = "document.querySelector('section[aria-label=\"Event log\"]')"
    tab.until(f"{log} && {log}.querySelector('.badge').innerText === 'well'")
    assert "sqlite" in tab.run(f"{log}.innerText")
    assert "/events.sqlite3" in tab.run(f"{log}.innerText")
    settings = site.root / "stores.toml"
    before = settings.read_text()
    settings.write_text(before + '[events]\nremote = "http://127.0.0.1:1"\nforward = ["org.**"]\n')
    try:
        tab.until(f"{log}.querySelector('.badge').innerText === 'degraded'")
        told = tab.run(f"{log}.innerText")
        assert "127.0.0.1:1 is not reached" in told
        assert "$ stores doctor" in told
        assert "sending: works" in told
        assert "receiving: disturbed" in told
    finally:
        settings.write_text(before)
    tab.until(f"{log}.querySelector('.badge').innerText === 'well'")
    japanese = "document.querySelector('section[aria-label=\"イベントログ\"] .badge')"
    visit("events", "ja").until(f"{japanese}?.innerText === '正常'")


def test_one_is_somebody_else_at_the_api_gateway_by_a_click(visit: Any, shop: Shop) -> None:
    tab = visit("identities")
    click(tab, "[...document.querySelectorAll('.people button')].find((one) => one.innerText === 'Be bob')")
    tab.until("document.querySelector('.people .now h2')?.innerText === 'bob'")
    assert shop.get("/api/v1/identities")["current"] == "bob"
    click(
        tab, "[...document.querySelectorAll('.people button')].find((one) => one.innerText === 'Back to the default')"
    )
    tab.until("!document.querySelector('.people .now')")
    assert shop.get("/api/v1/identities")["current"] is None


@pytest.mark.parametrize(
    ("language", "word"),
    [("en", "Services"), ("ja", "サービス"), ("ja-JP,en", "サービス"), ("fr,en", "Services")],
)
def test_the_page_speaks_the_browsers_language(visit: Any, language: str, word: str) -> None:
    tab = visit("services", language=language)
    tab.until(f"document.querySelector('#view h1').innerText === '{word}'")
    assert tab.run("document.documentElement.lang") == ("ja" if word == "サービス" else "en")


def test_the_language_and_the_colours_that_were_chosen_stay(visit: Any) -> None:
    tab = visit("services")
    click(tab, "[...document.querySelectorAll('#top button')].find((one) => one.innerText === '日本語')")
    tab.until("document.querySelector('#view h1').innerText === 'サービス'")
    light = tab.run("getComputedStyle(document.body).backgroundColor")
    tab.run("document.querySelector('#top button[title^=\"明暗\"]').click()")
    tab.run("document.querySelector('#top button[title^=\"明暗\"]').click()")
    tab.open(tab.url)
    tab.until("document.querySelector('#view h1').innerText === 'サービス'")
    assert tab.run("document.documentElement.dataset.theme") == "dark"
    assert tab.run("getComputedStyle(document.body).backgroundColor") != light


def test_every_word_is_there_in_both_languages(visit: Any) -> None:
    """The names that the modules ask for, and both columns of the table."""
    tab = visit("services")
    static = ROOT / "proxy_addons/dashboard/static"
    modules = [file.name for file in static.glob("*.js") if file.name != "looks.js"]
    script = f"""Promise.all(
        {json.dumps(modules)}.map((name) => fetch('/static/' + name).then((one) => one.text()))).then(
        async (texts) => {{
          const {{ names, t }} = await import('/static/words.js');
          const known = new Set(names());
          const asked = texts.flatMap((text) => [...text.matchAll(/\\bt\\("([^"]+)"/g)].map((one) => one[1]));
          const lost = asked.filter((one) => !known.has(one));
          for (const language of ['en', 'ja']) {{
            document.documentElement.lang = language;
            lost.push(...names().filter((one) => !t(one)));
          }}
          return lost;
        }})"""
    assert tab.run(script) == []


def test_all_is_reached_by_keys_alone(visit: Any) -> None:
    tab = visit("services")
    tab.until(f"!!{row('shop')}")
    press(tab, "?")
    tab.until("document.querySelector('dialog[open]')?.innerText.includes('Keyboard shortcuts')")
    press(tab, "Escape")
    tab.until("!document.querySelector('dialog[open]')")
    for _ in range(3):
        press(tab, "j")
    tab.until("document.activeElement.dataset.name === 'shop'")
    press(tab, "Enter")
    tab.until("document.querySelector('.detail h1')?.innerText === 'shop'")
    press(tab, "Escape")
    tab.until("document.querySelector('.detail').hidden && document.activeElement.dataset.name === 'shop'")
    press(tab, "o")
    tab.until("document.querySelector('#view h1').innerText === 'Logs' && location.search === '?targets=shop'")
    press(tab, "/")
    tab.until("document.activeElement.type === 'search'")
    press(tab, "2")  # writes, and does not lead away
    assert tab.run("[document.activeElement.value, location.pathname]") == ["2", "/logs"]
    press(tab, "Escape")
    press(tab, "1")
    tab.until("location.pathname === '/services' && document.querySelector('#view h1')?.innerText === 'Services'")


def test_the_first_tab_leads_past_the_navigation_and_focus_is_seen(visit: Any) -> None:
    tab = visit("services")
    press(tab, "Tab")
    assert tab.run("document.activeElement.id") == "skip"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_is_wider_than_a_phone(visit: Any, language: str) -> None:
    tab = visit("services", language=language, width=390, height=844)
    for view in VIEWS:
        tab.open(tab.run(f"location.origin + '/{view}'"))
        tab.until("!!document.querySelector('#view > .view:not(.banners)')")
        assert tab.run("document.documentElement.scrollWidth") <= 390, view


def test_a_gateway_that_goes_is_said_and_the_page_goes_on_by_itself(visit: Any, site: Site) -> None:
    tab = visit("services")
    tab.until(f"!!{row('shop')}")
    tab.run("window.here = true")
    pid = site.status()["gateway"]["pid"]
    tab.run("""window.said = []; new MutationObserver(() => said.push(document.querySelector('.live').innerText))
               .observe(document.querySelector('#top'), {subtree: true, childList: true, characterData: true})""")
    site.ok("restart", "gateway")
    wait_until(lambda: site.status()["gateway"]["pid"] != pid, "the gateway is another process")
    tab.until("said.includes('Connection lost')")
    tab.until(
        "document.querySelector('.live').innerText !== 'Connection lost' && !document.querySelector('.banners .banner')"
    )
    site.ok("stop", "shop")
    tab.until(f"{row('shop')}.innerText.includes('stopped')")
    site.ok("start", "shop")
    tab.until(f"{row('shop')}.innerText.includes('running') && window.here")  # the same document


def test_what_the_stream_cannot_tell_is_said_until_it_can(visit: Any, site: Site) -> None:
    """A link to the logs of a service that is not registered yet."""
    tab = visit("logs?targets=shop.nightly")
    tab.until("document.querySelector('.banners .banner')?.innerText.includes('shop.nightly')")
    click(tab, "[...document.querySelectorAll('.chips button')].find((one) => one.innerText === 'shop')")
    click(tab, "[...document.querySelectorAll('.chips button')].find((one) => one.innerText === 'shop.nightly')")
    tab.until("!document.querySelector('.banners .banner') && location.search === '?targets=shop'")


def test_a_hidden_page_costs_nothing(visit: Any, shop: Shop) -> None:
    tab = visit("requests")
    wait_until(lambda: shop.get("/api/v1/traffic")["recording"], "the gateway notes requests")
    hide = """Object.defineProperty(document, 'hidden', {value: %s, configurable: true});
              document.dispatchEvent(new Event('visibilitychange'))"""
    tab.run(hide % "true")
    wait_until(lambda: not shop.get("/api/v1/traffic")["recording"], "the gateway notes nothing any more")
    tab.run(hide % "false")
    wait_until(lambda: shop.get("/api/v1/traffic")["recording"], "the gateway notes requests again")


def test_the_first_view_is_small(shop: Shop) -> None:
    """Bytes of what the page loads before it shows the services, as they are written: nothing is minified."""
    static = ROOT / "proxy_addons/dashboard/static"
    html = (static / "index.html").read_text()
    loaded = [file for file in static.iterdir() if file.suffix in {".js", ".css"} and f"/static/{file.name}" in html]
    assert len(loaded) > 10
    assert sum(file.stat().st_size for file in loaded) < 120_000


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here; `make test-browser` gets it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Any, shop: Shop, scheme: str) -> None:
    tab = visit("services", scheme=scheme)
    shop.publish()
    shop.post("/api/v1/inspection/on", {"targets": ["shop"]})
    shop.get_as("shop", "/inspected")
    (recorded,) = shop.get("/api/v1/inspection/requests?limit=1")["requests"]
    for view in (*VIEWS, f"inspect?id={recorded['id']}"):
        tab.open(tab.run(f"location.origin + '/{view}'"))
        tab.until("!!document.querySelector('#view > .view:not(.banners)')")
        shop.get_as("shop", "/looked-at")
        tab.until("document.querySelector('.live').innerText !== 'Connecting …'")
        tab.run(AXE.read_text())
        found = tab.run(
            "axe.run(document, {resultTypes: ['violations']}).then((told) => told.violations"
            ".filter((one) => ['serious', 'critical'].includes(one.impact))"
            ".map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)}`))"
        )
        assert found == [], view
