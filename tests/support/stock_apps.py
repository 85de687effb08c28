"""Stock apps of known frameworks, as their generators or their documentation make them, beside what they import."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from textwrap import dedent

from workbench import ROOT

#: Where .ci/test-browser has installed the frameworks.
INSTALLED = Path(os.environ.get("STORES_FRAMEWORKS", "/nowhere"))
_PINS = [ROOT / "tests/frameworks" / name for name in ("package.json", "requirements.txt")]


def missing() -> str:
    """Why there are no stock apps; empty: there are."""
    if "STORES_FRAMEWORKS" not in os.environ:
        return "the frameworks are installed by: make test-browser"
    installed = INSTALLED / "installed"
    if not installed.is_file() or installed.read_text() != "".join(path.read_text() for path in _PINS):
        return f"{INSTALLED} has other versions than tests/frameworks: make test-browser installs them"
    return "" if shutil.which("certutil") else "certutil is missing: make test-browser installs it"


class StockApps:
    """A folder of apps. It stands where Node finds the installed packages: in a folder above."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="apps-", dir=INSTALLED))
        self.python = INSTALLED / "venv" / "bin"
        self.node = INSTALLED / "node_modules" / ".bin"

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
        return file

    def edit(self, path: str, old: str, new: str) -> None:
        """As an editor saves."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new))

    def _generate(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def vite(self) -> Path:
        self._generate(self.node / "create-vite", "vite", "--template", "vanilla", "--no-interactive")
        return self.folder / "vite"

    def webpack(self) -> Path:
        """The smallest that webpack's guide for hot replacement has."""
        self.write("webpack/package.json", '{"name": "stock", "private": true}\n')
        self.write(
            "webpack/webpack.config.js",
            """
            const HtmlWebpackPlugin = require("html-webpack-plugin");
            module.exports = { mode: "development", entry: "./src/index.js", plugins: [new HtmlWebpackPlugin()] };
            """,
        )
        self.write(
            "webpack/src/index.js",
            """
            document.body.textContent = "before";
            module.hot.accept();
            """,
        )
        return self.folder / "webpack"

    def next(self) -> Path:
        self.write("next/package.json", '{"name": "stock", "private": true}\n')
        self.write("next/next.config.js", "module.exports = {};\n")
        self.write(
            "next/app/layout.js",
            """
            export default function Layout({ children }) {
              return <html lang="en"><body>{children}</body></html>;
            }
            """,
        )
        self.write(
            "next/app/page.js",
            """
            "use client";
            import { useState } from "react";
            export default function Page() {
              const [count, setCount] = useState(0);
              return <button onClick={() => setCount(count + 1)}>before {count}</button>;
            }
            """,
        )
        return self.folder / "next"

    def django(self) -> Path:
        self._generate(self.python / "django-admin", "startproject", "django_shop")
        return self.folder / "django_shop"

    def flask(self) -> Path:
        """The quick start's."""
        self.write(
            "flask/app.py",
            """
            from flask import Flask, request

            app = Flask(__name__)

            @app.route("/")
            def hello():
                return f"before, at {request.url}"
            """,
        )
        return self.folder / "flask"

    def streamlit(self) -> Path:
        self.write(
            "streamlit/app.py",
            """
            import streamlit

            streamlit.title("Shop")
            if streamlit.button("Buy"):
                streamlit.write("bought")
            """,
        )
        return self.folder / "streamlit"

    def end(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
