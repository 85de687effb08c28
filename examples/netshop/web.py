"""The pages of the shop."""

from __future__ import annotations

import secrets
import threading
from http import HTTPStatus

from common.app import App
from common.events import Channel
from common.message import HttpError, Request, Response, json_response, redirect
from common.money import yen
from common.neighbourhood import neighbourhood
from common.pages import Markup, Pages
from common.settings import Settings
from common.siblings import SESSION, Answer
from common.visitor import Visitors, name
from netshop.pieces import Pieces
from netshop.shop import EmptyCartError, Shop, SoldOutError

CART = "cart"
MAX_QUANTITY = 99
SHOWN_ORDERS = 5


def create(settings: Settings) -> App:
    pages = Pages(settings)
    web = Web(settings, pages, Shop(settings.data_dir))
    return App(
        pages,
        [
            ("GET", "/", web.front),
            ("GET", "/products/{sku}", web.product),
            ("GET", "/cart", web.cart),
            ("POST", "/cart", web.put),
            ("POST", "/checkout", web.checkout),
            ("GET", "/orders/{token}", web.order),
            ("GET", "/events", web.events),
            ("GET", "/api/buyer", web.buyer),
            *web.visitors.routes(),
        ],
        close=web.channel.close,
    )


class Web:
    def __init__(self, settings: Settings, pages: Pages, shop: Shop) -> None:
        self._siblings = settings.siblings
        self._pages = pages
        self._shop = shop
        self._pieces = Pieces(pages, shop)
        self.visitors = Visitors(settings.siblings, pages)
        self.channel = Channel()
        shop.changes_bell.listen()
        threading.Thread(target=self._tell_changes, daemon=True).start()

    def _tell_changes(self) -> None:
        """Open pages learn what the worker, or another visitor's order, changed."""
        while True:
            if self._shop.changes_bell.wait(3600):
                for event, data in self._now():
                    self.channel.publish(event, data)

    def _now(self) -> list[tuple[str, object]]:
        orders = [{"number": order.number, "state": order.state} for order in self._shop.last_orders(SHOWN_ORDERS)]
        return [("stock", self._shop.stock()), ("orders", orders)]

    def events(self, _: Request) -> Response:
        return self.channel.stream(self._now)

    def buyer(self, request: Request) -> Response:
        """Who buys: asked through the API gateway, with the session of the visitor as his token."""
        answer = self._siblings.through_gateway("/organization/api/whoami", request.cookies.get(SESSION, ""))
        if not answer.ok:
            raise HttpError(answer.status or HTTPStatus.BAD_GATEWAY, f"{answer.hint}: {_why(answer)}")
        return json_response({"route": answer.route, "buyer": answer.data})

    def front(self, request: Request) -> Response:
        texts = self._pages.texts(request)
        me, slots = self._siblings.both(request, "reserve", "/api/slots?free=1")
        here = neighbourhood(request, self._siblings.name)
        stock = self._shop.stock()
        return self._page(
            request,
            "shop.html",
            [me, slots],
            title=texts("title", branch=f" · {here.branch}" if here and here.branch else ""),
            products=Markup.join_all(self._pieces.card(request, sku, stock[sku]) for sku in self._shop.products),
            slots=self._pieces.slots(request, slots),
            reserve=self._siblings.public_url(request, "reserve"),
            order_pattern=texts("order_title", number="#"),
            states=self._pieces.states(request),
            orders=Markup.join_all(
                self._pieces.order_line(request, order) for order in self._shop.last_orders(SHOWN_ORDERS)
            ),
        )

    def product(self, request: Request, sku: str) -> Response:
        language = self._pages.texts(request).language
        product = self._shop.products.get(sku)
        if product is None:
            raise HttpError(HTTPStatus.NOT_FOUND, f"We do not sell {sku}.")
        return self._page(
            request,
            "product.html",
            [self._siblings.who_is(request)],
            title=product.name(language),
            description=product.description(language),
            **self._pieces.facts(request, sku, self._shop.stock()[sku]),
        )

    def cart(self, request: Request) -> Response:
        return self._cart(request)

    def _cart(self, request: Request, wrong: str = "") -> Response:
        texts = self._pages.texts(request)
        me, slots = self._siblings.both(request, "reserve", "/api/slots?free=1")
        items = self._shop.cart(request.cookies.get(CART, ""))
        values = {"title": texts("cart_title"), "status": HTTPStatus.CONFLICT if wrong else HTTPStatus.OK}
        if not items:
            return self._page(request, "cart_empty.html", [me, slots], **values)
        return self._page(
            request,
            "cart.html",
            [me, slots],
            wrong=self._pages.fill(request, "wrong.html", text=wrong) if wrong else "",
            items=Markup.join_all(self._pieces.cart_line(request, item) for item in items),
            total=yen(sum(item.total for item in items)),
            customer=request.form.get("customer") or name(me),
            pick_up=self._pieces.pick_up(request, slots),
            **values,
        )

    def put(self, request: Request) -> Response:
        """`add` so many to what is in the cart, or have `quantity` of it there."""
        sku, cart = request.form.get("sku", ""), request.cookies.get(CART) or secrets.token_urlsafe(16)
        if sku not in self._shop.products:
            raise HttpError(HTTPStatus.NOT_FOUND, f"We do not sell {sku}.")
        before = {item.sku: item.quantity for item in self._shop.cart(cart)}.get(sku, 0)
        form = request.form
        quantity = before + _number(form["add"]) if "add" in form else _number(form.get("quantity", ""))
        self._shop.put(cart, sku, max(0, min(quantity, MAX_QUANTITY)))
        return redirect("/cart").with_cookie(request, CART, cart)

    def checkout(self, request: Request) -> Response:
        """Books the slot first: an order can be taken back, somebody else's appointment cannot."""
        texts = self._pages.texts(request)
        customer, slot = request.form.get("customer", "").strip()[:60], request.form.get("slot", "")
        if not customer:
            return self._cart(request, texts("customer_missing"))
        wanted = {"slot": slot, "name": customer}
        booking = self._siblings.call("reserve", "/api/bookings", method="POST", data=wanted) if slot else None
        if booking and not booking.ok:
            return self._cart(request, texts("slot_gone" if booking.status == HTTPStatus.CONFLICT else "slot_failed"))
        try:
            order = self._shop.order(request.cookies.get(CART, ""), customer, slot)
        except (SoldOutError, EmptyCartError) as error:
            if booking:
                self._siblings.call("reserve", f"/api/bookings/{booking.data['id']}", method="DELETE")
            product = self._shop.products.get(getattr(error, "sku", ""))
            return self._cart(request, texts("sold_out_now", name=product.name(texts.language)) if product else "")
        return redirect(f"/orders/{order.token}")

    def order(self, request: Request, token: str) -> Response:
        texts = self._pages.texts(request)
        order = self._shop.find_order(token)
        if order is None:
            raise HttpError(HTTPStatus.NOT_FOUND, "There is no such order.")
        return self._page(
            request,
            "order.html",
            [self._siblings.who_is(request)],
            title=texts("order_title", number=order.number),
            number=str(order.number),
            thanks=texts("thanks", customer=order.customer),
            state_text=texts(f"state_{order.state}"),
            states=self._pieces.states(request),
            slot=self._pieces.picked_up(request, order),
            items=Markup.join_all(self._pieces.receipt_line(request, item) for item in self._shop.items(order)),
            total=yen(order.total),
        )

    def _page(self, request: Request, template: str, asked: list[Answer], **values: object) -> Response:
        """`asked`: what the siblings said for this page; account comes first."""
        texts = self._pages.texts(request)
        count = sum(item.quantity for item in self._shop.cart(request.cookies.get(CART, "")))
        corner = self._pages.fill(
            request,
            "corner.html",
            count=count,
            label=texts("cart_holds", count=count),
            who=self.visitors.corner(request, asked[0]),
            account=self._siblings.public_url(request, "account"),
            asked_by_browser=texts("asked_by_browser", answer="#"),
        )
        hints = [answer.hint for answer in asked]
        return self._pages.render(request, template, who=corner, hints=hints, **values)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise HttpError(HTTPStatus.BAD_REQUEST, f'"{text}" is not a number of things.')
    return int(text)


def _why(answer: Answer) -> str:
    return str(answer.data.get("detail", "")) if isinstance(answer.data, dict) else answer.detail
