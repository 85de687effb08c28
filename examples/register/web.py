"""The pages of the till."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from http import HTTPStatus
from pathlib import Path

from common.app import App
from common.message import HttpError, Request, Response, json_response, redirect
from common.money import yen
from common.pages import Markup, Pages
from common.settings import Settings
from register.till import Line, NotEnoughError, NothingSoldError, Register, new_till

TILL = "till"  # the cookie that says which till this is
NOTES = (1000, 2000, 5000, 10000)
ITEMS: dict[str, dict[str, str | int]] = tomllib.loads(Path(__file__).with_name("items.toml").read_text("utf-8"))


def create(settings: Settings) -> App:
    pages = Pages(settings)
    web = Web(pages, Register(settings.data_dir))
    return App(
        pages,
        [
            ("GET", "/", web.till),
            ("POST", "/items", web.add),
            ("POST", "/remove", web.remove),
            ("POST", "/pay", web.pay),
            ("GET", "/receipts/{number}", web.receipt),
            ("GET", "/api/today", web.today),
        ],
    )


class Web:
    def __init__(self, pages: Pages, register: Register) -> None:
        self._pages = pages
        self._register = register

    def till(self, request: Request) -> Response:
        return self._till(request)

    def _till(self, request: Request, wrong: str = "") -> Response:
        texts = self._pages.texts(request)
        lines = self._register.open_lines(request.cookies.get(TILL, ""))
        total = sum(line.total for line in lines)
        count, today = self._register.day_total(_today())
        keys = [self._fill(request, "key.html", item, price=yen(ITEMS[item]["price"])) for item in ITEMS]
        notes = [note for note in NOTES if note >= total]
        return self._pages.render(
            request,
            "till.html",
            title=texts("title"),
            status=HTTPStatus.CONFLICT if wrong else HTTPStatus.OK,
            today=texts("today", count=count, total=yen(today)),
            keys=Markup.join_all(keys),
            wrong=self._pages.fill(request, "wrong.html", text=wrong) if wrong else "",
            sale=self._sale(request, lines, total, notes) if lines else self._pages.fill(request, "nothing.html"),
        )

    def _sale(self, request: Request, lines: list[Line], total: int, notes: list[int]) -> Markup:
        buttons = [self._pages.fill(request, "note.html", value=note, text=yen(note)) for note in notes]
        return self._pages.fill(
            request,
            "sale.html",
            lines=Markup.join_all(self._line(request, "line.html", line) for line in lines),
            total=yen(total),
            minimum=total,
            notes=Markup.join_all(buttons),
        )

    def _line(self, request: Request, template: str, line: Line) -> Markup:
        return self._fill(request, template, line.item, count=line.count, total=yen(line.total))

    def _fill(self, request: Request, template: str, item: str, **values: object) -> Markup:
        name = ITEMS.get(item, {}).get(self._pages.texts(request).language, item)
        return self._pages.fill(request, template, item=item, name=name, **values)

    def add(self, request: Request) -> Response:
        item, till = request.form.get("item", ""), request.cookies.get(TILL) or new_till()
        if item not in ITEMS:
            raise HttpError(HTTPStatus.NOT_FOUND, f"There is no key for {item}.")
        self._register.add(till, item, int(ITEMS[item]["price"]))
        return redirect("/").with_cookie(request, TILL, till, days=365)

    def remove(self, request: Request) -> Response:
        self._register.remove(request.cookies.get(TILL, ""), request.form.get("item", ""))
        return redirect("/")

    def pay(self, request: Request) -> Response:
        """`method` is "card", always exact, or "cash" with the yen `tendered`."""
        texts = self._pages.texts(request)
        cash = request.form.get("method") != "card"
        tendered = request.form.get("tendered", "").replace(",", "")
        if cash and not (tendered.isascii() and tendered.isdigit()):
            return self._till(request, texts("how_much"))
        till = request.cookies.get(TILL, "")
        try:
            number = self._register.pay(till, "cash" if cash else "card", int(tendered) if cash else None)
        except NotEnoughError as error:
            return self._till(request, texts("not_enough", missing=yen(error.missing)))
        except NothingSoldError:
            return redirect("/")
        return redirect(f"/receipts/{number}")

    def receipt(self, request: Request, number: str) -> Response:
        texts = self._pages.texts(request)
        receipt = self._register.receipt(int(number)) if number.isascii() and number.isdigit() else None
        if receipt is None:
            raise HttpError(HTTPStatus.NOT_FOUND, f"There is no receipt {number}.")
        lines = self._register.paid_lines(receipt)
        return self._pages.render(
            request,
            "receipt.html",
            title=texts("receipt", number=receipt.number),
            when=texts.moment(receipt.paid_at),
            lines=Markup.join_all(self._line(request, "receipt_line.html", line) for line in lines),
            total=yen(receipt.total),
            tax=yen(receipt.tax),
            method=texts(receipt.method),
            tendered=yen(receipt.tendered),
            change=yen(receipt.change),
        )

    def today(self, _: Request) -> Response:
        count, total = self._register.day_total(_today())
        return json_response({"day": _today().isoformat(), "sales": count, "total": total, "currency": "JPY"})


def _today() -> date:
    return datetime.now().astimezone().date()
