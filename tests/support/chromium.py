"""A headless Chromium, driven by the DevTools protocol; each `Tab` has cookies of its own."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from workbench import wait_until

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


class NavigatedError(Exception):
    """The page that was asked gave way to another one before it could answer."""


class Chromium:
    """The browser. Every name below the sample's domain leads to this machine; its CA is not asked for.

    With `https` its port 443 leads to that one, and only what `ca` vouches for is trusted: as where all is set up.
    """

    def __init__(self, folder: Path, *, https: int = 0, ca: Path | None = None) -> None:
        profile = folder / "chromium"
        rule = f"MAP *.local.example.com:443 127.0.0.1:{https}" if https else "MAP *.local.example.com 127.0.0.1"
        if ca is not None:
            _trust(folder, ca)
        self._process = subprocess.Popen(
            [
                PROGRAM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                f"--host-resolver-rules={rule}",
                *([] if ca else ["--ignore-certificate-errors"]),
                "about:blank",
            ],
            env={**os.environ, "HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = profile / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and len(port_file.read_text().splitlines()) == 2, "Chromium listens")
        port, path = port_file.read_text().splitlines()
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None))
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def tab(self) -> Tab:
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Tab(self, session)

    def ask(self, method: str, session: str = "", **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(30))
            if answer.get("id") == number:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise NavigatedError(method)
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def end(self) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(10)


def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """For a file's tests together: `browser = pytest.fixture(scope="module")(one_browser)`."""
    made = Chromium(tmp_path_factory.mktemp("browser"))
    try:
        yield made
    finally:
        made.end()


def _trust(home: Path, ca: Path) -> None:
    """Puts `ca` into the NSS store that Chromium reads below its HOME."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (["-N", "--empty-password"], ["-A", "-n", "stores", "-t", "C,,", "-i", str(ca)]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *command], check=True, capture_output=True)


class Tab:
    """One page at a time."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        return self._browser.ask(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Goes there, and waits until the page is loaded."""
        result = self.ask("Page.navigate", url=url)
        assert "errorText" not in result, f"{url}: {result}"
        self.settle()

    def settle(self) -> None:
        wait_until(lambda: self._seen("document.readyState") == "complete", "the page is loaded")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        result = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, f"{script}: {result}"
        return result["result"].get("value")

    def until(self, script: str) -> Any:
        """Waits for it, also while one page gives way to another, in which nothing is where it should be."""
        return wait_until(lambda: self._seen(f"(() => {{ try {{ return {script} }} catch {{}} }})()"), script)

    def _seen(self, script: str) -> Any:
        """What the page of this moment says; none where it goes away while it is asked."""
        with suppress(NavigatedError):
            return self.run(script)

    @property
    def url(self) -> str:
        return str(self.run("location.href"))

    @property
    def text(self) -> str:
        return str(self.run("document.body?.innerText"))

    def look(self, width: int, height: int, scheme: str, language: str) -> None:
        """As a person with this screen and these wishes sees it."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.ask("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def press(self, key: str) -> None:
        """A key, as somebody without a mouse presses it: Tab or Enter."""
        text = {"Enter": "\r"}.get(key, "")
        code = {"Enter": 13, "Tab": 9}[key]
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def picture(self) -> bytes:
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def complaints(self) -> list[str]:
        """What the console says of errors, policy violations included."""
        self.run("0")
        mine = [event for event in self._browser.events if event.get("sessionId") == self._session]
        entries = [event["params"]["entry"] for event in mine if event.get("method") == "Log.entryAdded"]
        return [entry["text"] for entry in entries if entry["level"] == "error"]
