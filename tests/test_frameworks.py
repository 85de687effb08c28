"""Stock apps in a real browser, at https://NAME.local.example.com: they load, and reload what is edited.

None of their own configuration is touched but where the gateway's advice says so: then it must be what helps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium, Tab
from stock_apps import StockApps, missing
from whole_system import WholeSystem
from workbench import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PROGRAM, reason="there is no Chromium here: make test-browser"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

#: Next.js compiles for long on a small machine. Seconds.
SLOW = 120


class System(WholeSystem):
    """The stock apps as services of one workspace, each started when its test comes."""

    def __init__(self, folder: Path, apps: StockApps) -> None:
        super().__init__(folder)
        self.apps = apps

    def add(self, name: str, folder: Path, command: str) -> None:
        """Registers an app, or changes its command."""
        self.service(name, f"web: exec {command}\n", dir=str(folder), remote=False, ready_timeout=SLOW, setup="")

    def begin(self, name: str) -> None:
        self.ok("start", name, timeout=SLOW)
        wait_until(lambda: self.get(name).route == "local", f"{name} is routed")

    def advice(self, name: str) -> str:
        """What the gateway has found to say of a service."""

        def told() -> str:
            return next(one["advice"] for one in self.status()["services"] if one["name"] == name)

        return str(wait_until(told, f"advice for {name}"))


@pytest.fixture(scope="module")
def apps() -> Iterator[StockApps]:
    made = StockApps()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, apps: StockApps) -> Iterator[System]:
    made = System(tmp_path_factory.mktemp("frameworks"), apps)
    try:
        made.begin_all()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, system: System) -> Iterator[Chromium]:
    gateway = system.status()["gateway"]
    made = Chromium(tmp_path_factory.mktemp("browser"), https=gateway["https"], ca=Path(gateway["ca_file"]))
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def tab(browser: Chromium, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A page; what it showed last is kept where STORES_PICTURES says, for eyes."""
    made = browser.tab()
    yield made
    if folder := os.environ.get("STORES_PICTURES"):
        (Path(folder) / f"{request.node.name}.png").write_bytes(made.picture())


def mark(tab: Tab) -> None:
    """What a reload would lose."""
    tab.run("window.unchanged = true")


def test_vite_replaces_what_is_edited_while_the_page_stays(system: System, tab: Tab) -> None:
    system.add("vite", system.apps.vite(), f"{system.apps.node}/vite --port $PORT --strictPort")
    system.begin("vite")
    tab.open("https://vite.local.example.com/")
    tab.until("document.querySelector('#counter')?.textContent.includes('0')")
    tab.run("document.querySelector('#counter').click()")
    mark(tab)
    with (system.apps.folder / "vite/src/style.css").open("a") as style:
        style.write("#counter { outline: 7px solid rgb(1, 2, 3); }\n")
    tab.until("getComputedStyle(document.querySelector('#counter')).outlineWidth === '7px'")
    assert tab.run("window.unchanged") is True
    assert "1" in tab.run("document.querySelector('#counter').textContent")
    assert tab.complaints() == []
    system.ok("stop", "vite")


def test_webpack_dev_server_replaces_what_is_edited_once_it_is_started_as_advised(system: System, tab: Tab) -> None:
    serve = f"{system.apps.node}/webpack serve --port $PORT"
    folder = system.apps.webpack()
    system.add("webpack", folder, serve)
    system.begin("webpack")
    assert system.get("webpack").status == 200  # below localhost it needs nothing
    tab.open("https://webpack.local.example.com/")
    assert tab.text == "Invalid Host header"
    option = "--allowed-hosts .local.example.com --client-web-socket-url auto://0.0.0.0:0/ws"
    assert f"`webpack serve {option}`" in system.advice("webpack")

    system.add("webpack", folder, f"{serve} {option}")
    system.ok("restart", "webpack", timeout=SLOW)
    tab.open("https://webpack.local.example.com/")
    tab.until("document.body.textContent === 'before'")
    mark(tab)
    system.apps.edit("webpack/src/index.js", "before", "after")
    tab.until("document.body.textContent === 'after'")
    assert tab.run("window.unchanged") is True
    system.ok("stop", "webpack")


def test_next_keeps_its_state_over_an_edit_once_it_is_configured_as_advised(system: System, tab: Tab) -> None:
    system.add("next", system.apps.next(), f"{system.apps.node}/next dev")
    system.begin("next")
    tab.open("https://next.local.example.com/")
    tab.until("document.querySelector('button')?.textContent === 'before 0'")
    setting = 'allowedDevOrigins: ["*.local.example.com"]'
    assert setting in system.advice("next")

    system.apps.write("next/next.config.js", f"module.exports = {{ {setting} }};\n")
    system.ok("restart", "next", timeout=SLOW)
    tab.open("https://next.local.example.com/")
    tab.until("(document.querySelector('button').click(), /before [1-9]/.test(document.body.innerText))")
    mark(tab)
    system.apps.edit("next/app/page.js", "before", "after")
    tab.until("/after [1-9]/.test(document.body.innerText)")
    assert tab.run("window.unchanged") is True
    system.ok("stop", "next")


def test_django_signs_a_person_in_over_https_with_secure_cookies_once_it_is_configured_as_advised(
    system: System, tab: Tab
) -> None:
    folder, python = system.apps.django(), system.apps.python / "python"
    system.add("django", folder, f"{python} manage.py runserver --noreload $PORT")
    manage = ["exec", "django", "--", str(python), "manage.py"]
    system.ok(*manage, "migrate", timeout=SLOW)
    person = {"DJANGO_SUPERUSER_PASSWORD": "a long word"}
    system.ok(*manage, "createsuperuser", "--noinput", "--username=alice", "--email=a@example.com", env=person)
    system.begin("django")
    assert system.get("django", "/admin/login/").status == 200  # below localhost it needs nothing
    tab.open("https://django.local.example.com/admin/")
    assert "DisallowedHost" in tab.text
    advice = system.advice("django")

    settings = folder / "django_shop" / "settings.py"
    setting = 'ALLOWED_HOSTS = [".local.example.com"]'
    assert setting in advice
    settings.write_text(f"{settings.read_text()}\n{setting}\nSESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True\n")
    system.ok("restart", "django")
    sign_in(tab)
    assert "Origin checking failed" in tab.text
    setting = 'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'
    assert setting in system.advice("django")

    settings.write_text(f"{settings.read_text()}\n{setting}\n")
    system.ok("restart", "django")
    sign_in(tab)
    assert "welcome, alice" in tab.text.lower()
    cookies = {one["name"]: one["secure"] for one in tab.ask("Network.getCookies")["cookies"]}
    assert cookies == {"sessionid": True, "csrftoken": True}
    system.ok("stop", "django")


def sign_in(tab: Tab) -> None:
    """By the admin's own form."""
    tab.open("https://django.local.example.com/admin/login/?next=/admin/")
    tab.run("document.querySelector('#id_username').value = 'alice'")
    tab.run("document.querySelector('#id_password').value = 'a long word'")
    mark(tab)
    tab.run("document.querySelector('#login-form').submit()")
    tab.until("!window.unchanged && document.readyState === 'complete'")


def test_flask_serves_what_was_edited(system: System, tab: Tab) -> None:
    system.add("flask", system.apps.flask(), f"{system.apps.python}/flask run --debug")
    system.begin("flask")
    tab.open("https://flask.local.example.com/")
    assert tab.text.startswith("before, at ")
    system.apps.edit("flask/app.py", "before", "after")
    tab.until("(fetch('/').then(a => a.text()).then(text => window.told = text), window.told?.startsWith('after'))")
    system.ok("stop", "flask")


def test_streamlit_answers_a_click_over_its_websocket(system: System, tab: Tab) -> None:
    system.add("streamlit", system.apps.streamlit(), f"{system.apps.python}/streamlit run app.py")
    system.begin("streamlit")
    tab.open("https://streamlit.local.example.com/")
    tab.until("document.querySelector('h1')?.textContent === 'Shop'")
    tab.until("[...document.querySelectorAll('button')].some(one => one.innerText === 'Buy' && (one.click(), true))")
    tab.until("document.body.innerText.includes('bought')")
    system.ok("stop", "streamlit")


#: Runs a line in a new kernel, by the messages that JupyterLab sends, and returns what it printed.
KERNEL = """
(async () => {
  const cookie = document.cookie.match(/_xsrf=([^;]+)/)[1];
  const made = await fetch("/api/kernels", { method: "POST", headers: { "X-XSRFToken": cookie } });
  const kernel = await made.json();
  const socket = new WebSocket(`wss://${location.host}/api/kernels/${kernel.id}/channels`);
  const content = { code: "print(6 * 7)", silent: false, store_history: false, allow_stdin: false };
  const header = { msg_id: "one", msg_type: "execute_request", session: "s", username: "u", version: "5.3" };
  await new Promise(opened => { socket.onopen = opened; });
  return await new Promise(printed => {
    socket.onmessage = event => {
      const message = JSON.parse(event.data);
      if (message.msg_type === "stream") printed(message.content.text);
    };
    socket.send(JSON.stringify({ header, parent_header: {}, metadata: {}, content, channel: "shell", buffers: [] }));
  });
})()
"""


def test_jupyter_runs_a_line_over_its_websocket_once_it_is_started_as_advised(system: System, tab: Tab) -> None:
    folder = system.apps.write("jupyter/note.txt", "").parent
    lab = f"{system.apps.python}/jupyter-lab --no-browser --allow-root --IdentityProvider.token=word"
    system.add("jupyter", folder, lab)
    system.begin("jupyter")
    tab.open("https://jupyter.local.example.com/lab?token=word")
    assert "403" in tab.text
    option = "--ServerApp.local_hostnames=jupyter.local.example.com"
    assert f"`{option}`" in system.advice("jupyter")

    system.add("jupyter", folder, f"{lab} {option}")
    system.ok("restart", "jupyter", timeout=SLOW)
    tab.open("https://jupyter.local.example.com/lab?token=word")
    tab.until("!!document.querySelector('.jp-Launcher')")
    assert tab.run(KERNEL) == "42\n"
    system.ok("stop", "jupyter")
