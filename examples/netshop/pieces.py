"""The pieces that the shop's pages are put together from."""

from __future__ import annotations

from datetime import datetime

from common.message import Request
from common.money import yen
from common.pages import Markup, Pages, Texts
from common.siblings import Answer
from netshop.shop import STATES, Item, Order, Shop

SHOWN_SLOTS = 5


class Pieces:
    def __init__(self, pages: Pages, shop: Shop) -> None:
        self._pages = pages
        self._shop = shop

    def facts(self, request: Request, sku: str, left: int) -> dict[str, object]:
        """Of a product, for whatever shows it."""
        texts, product = self._pages.texts(request), self._shop.products[sku]
        return {
            "sku": sku,
            "name": product.name(texts.language),
            "price": yen(product.price),
            "stock": texts("left", count=left) if left else texts("sold_out"),
            "left_text": texts("left", count="#"),
            "sold_out_text": texts("sold_out"),
            "disabled": Markup("" if left else "disabled"),
        }

    def card(self, request: Request, sku: str, left: int) -> Markup:
        return self._pages.fill(request, "product_card.html", **self.facts(request, sku, left))

    def cart_line(self, request: Request, item: Item) -> Markup:
        return self._pages.fill(request, "cart_line.html", sku=item.sku, **self._item(request, item))

    def receipt_line(self, request: Request, item: Item) -> Markup:
        return self._pages.fill(request, "receipt_line.html", **self._item(request, item))

    def _item(self, request: Request, item: Item) -> dict[str, object]:
        product = self._shop.products.get(item.sku)  # an old order may hold what is sold no more
        name = product.name(self._pages.texts(request).language) if product else item.sku
        return {"name": name, "quantity": item.quantity, "total": yen(item.total)}

    def order_line(self, request: Request, order: Order) -> Markup:
        texts = self._pages.texts(request)
        title, state = texts("order_title", number=order.number), texts(f"state_{order.state}")
        return self._pages.fill(request, "order_line.html", number=order.number, title=title, state=state)

    def states(self, request: Request) -> str:
        """What a page that is open calls the states that it is told of later."""
        texts = self._pages.texts(request)
        return "|".join(f"{state}={texts(f'state_{state}')}" for state in STATES)

    def slots(self, request: Request, answer: Answer) -> Markup:
        slots = _free(self._pages.texts(request), answer)
        if not slots:
            return self._no_slots(request, answer, "note.html")
        return Markup.join_all(self._pages.fill(request, "slot.html", **slot) for slot in slots[:SHOWN_SLOTS])

    def pick_up(self, request: Request, answer: Answer) -> Markup:
        """The choice of a slot."""
        slots = _free(self._pages.texts(request), answer)
        if not slots:
            return self._no_slots(request, answer, "no_pick_up.html")
        chosen = request.form.get("slot", "")
        options = [
            self._pages.fill(
                request, "slot_option.html", **slot, selected="selected" if slot["start"] == chosen else ""
            )
            for slot in slots
        ]
        return self._pages.fill(request, "pick_up.html", options=Markup.join_all(options))

    def picked_up(self, request: Request, order: Order) -> str:
        texts = self._pages.texts(request)
        if not order.slot:
            return texts("picked_up_any_time")
        return texts("picked_up", slot=texts.moment(datetime.fromisoformat(order.slot)))

    def _no_slots(self, request: Request, answer: Answer, template: str) -> Markup:
        key = "no_slots" if answer.ok else "reserve_unreachable"
        return self._pages.fill(request, template, text=self._pages.texts(request)(key))


def _free(texts: Texts, answer: Answer) -> list[dict[str, str]]:
    slots = answer.data.get("slots", []) if answer.ok and isinstance(answer.data, dict) else []
    return [{"start": slot["start"], "text": texts.moment(datetime.fromisoformat(slot["start"]))} for slot in slots]
