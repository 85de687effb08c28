"""The pages and the API of reserve."""

from __future__ import annotations

import json
import secrets
from http import HTTPStatus
from itertools import groupby
from urllib.parse import urlsplit

from common.app import App
from common.message import HttpError, Request, Response, json_response, problem, redirect
from common.pages import Markup, Pages, Texts
from common.settings import Settings
from common.visitor import Visitors, name
from reserve.bookings import Calendar, Slot, TakenError, state
from reserve.live import Live
from reserve.websocket import upgrade

VISITOR = "visitor"  # the cookie that says which bookings are one's own
MAX_NAME = 60


def create(settings: Settings) -> App:
    pages = Pages(settings)
    web = Web(settings, pages, Calendar(settings.data_dir))
    return App(
        pages,
        [
            ("GET", "/", web.week),
            ("POST", "/book", web.book),
            ("POST", "/cancel", web.cancel),
            *web.visitors.routes(),
            ("GET", "/live", web.follow),
            ("GET", "/api/slots", web.slots),
            ("POST", "/api/bookings", web.book_by_api),
            ("DELETE", "/api/bookings/{booking}", web.cancel_by_api),
            ("POST", "/events", web.hear),
        ],
        close=web.live.close,
    )


class Web:
    def __init__(self, settings: Settings, pages: Pages, calendar: Calendar) -> None:
        self._siblings = settings.siblings
        self._pages = pages
        self._calendar = calendar
        self.visitors = Visitors(settings.siblings, pages)
        self.live = Live(calendar.state)

    def week(self, request: Request) -> Response:
        return self._week(request)

    def _week(self, request: Request, problem_key: str = "") -> Response:
        texts, visitor = self._pages.texts(request), _visitor(request)
        me = self._siblings.who_is(request)
        days = groupby(self._calendar.slots(), key=lambda slot: slot.start.date())
        response = self._pages.render(
            request,
            "week.html",
            title=texts("title"),
            status=HTTPStatus.CONFLICT if problem_key else HTTPStatus.OK,
            who=self.visitors.corner(request, me),
            hints=[me.hint],
            problem=self._pages.fill(request, "problem.html", text=texts(problem_key)) if problem_key else "",
            name=request.form.get("name") or request.cookies.get("name") or name(me),
            states=json.dumps({key: texts(f"state_{key}") for key in ("free", "mine", "taken", "past")}),
            days=Markup.join_all(self._day(request, list(slots), texts, visitor) for _, slots in days),
        )
        return response.with_cookie(request, VISITOR, visitor, days=365)

    def _day(self, request: Request, slots: list[Slot], texts: Texts, visitor: str) -> Markup:
        buttons = [self._slot(request, slot, texts, visitor) for slot in slots]
        return self._pages.fill(
            request, "day.html", day=texts.day(slots[0].start), date=slots[0].id[:10], slots=Markup.join_all(buttons)
        )

    def _slot(self, request: Request, slot: Slot, texts: Texts, visitor: str) -> Markup:
        mood = state(slot, visitor)
        return self._pages.fill(
            request,
            "slot.html",
            id=slot.id,
            time=f"{slot.start:%H:%M}",
            state=mood,
            state_text=texts(f"state_{mood}"),
            attributes=Markup({"free": "", "mine": "formnovalidate"}.get(mood, "disabled")),
            action="/cancel" if mood == "mine" else "/book",
        )

    def book(self, request: Request) -> Response:
        wanted = request.form.get("slot", "")
        person = request.form.get("name", "").strip()[:MAX_NAME]
        slot = self._calendar.slot(wanted)
        if not person:
            return self._week(request, "name_missing")
        if slot is None or slot.past:
            return self._week(request, "too_late")
        try:
            self._calendar.book(wanted, person, _visitor(request))
        except TakenError:
            return self._week(request, "taken")
        self.live.slot_changed(wanted)
        return redirect("/").with_cookie(request, "name", person).with_cookie(request, VISITOR, _visitor(request))

    def cancel(self, request: Request) -> Response:
        slot = self._calendar.slot(request.form.get("slot", ""))
        if slot and slot.booking and state(slot, _visitor(request)) == "mine":
            self._calendar.cancel(slot.booking.id)
            self.live.slot_changed(slot.id)
        return redirect("/")

    def follow(self, request: Request) -> Response:
        """Browsers let any site open a WebSocket here, with this site's cookies, but they say which site it is."""
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc.lower() != request.host:
            raise HttpError(HTTPStatus.FORBIDDEN, f"A page of {origin} may not listen here.")
        visitor = request.cookies.get(VISITOR, "")
        return upgrade(request, lambda window: self.live.attend(window, visitor))

    def slots(self, request: Request) -> Response:
        slots = self._calendar.slots()
        if request.query.get("free"):
            slots = [slot for slot in slots if slot.free]
        return json_response({"slots": [slot.as_json() for slot in slots]})

    def book_by_api(self, request: Request) -> Response:
        words = request.json if isinstance(request.json, dict) else {}
        person, slot = words.get("name"), self._calendar.slot(str(words.get("slot")))
        errors = []
        if not isinstance(person, str) or not 0 < len(person.strip()) <= MAX_NAME:
            errors.append({"pointer": "/name", "detail": f"a text of 1 to {MAX_NAME} characters"})
        if slot is None or slot.past:
            errors.append({"pointer": "/slot", "detail": "one of GET /api/slots that is not over"})
        if errors:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "This booking is not complete.", errors=errors)
        try:
            booking = self._calendar.book(slot.id, person.strip())
        except TakenError:
            return problem(HTTPStatus.CONFLICT, f"{slot.id} is taken.")
        self.live.slot_changed(booking.slot)
        response = json_response({"id": booking.id, "slot": booking.slot, "name": booking.name}, HTTPStatus.CREATED)
        return response.with_header("Location", f"/api/bookings/{booking.id}")

    def hear(self, request: Request) -> Response:
        """An order was placed (Procfile.d/reserve subscribes): its slot is booked, or else the next free one.

        The same event may come twice, and the shop may have booked the slot itself: either way there is one booking.
        """
        order, words = request.headers.get("ce-id", ""), request.json
        person = words.get("customer") if isinstance(words, dict) else None
        if not order or not isinstance(person, str) or not 0 < len(person) <= MAX_NAME:
            return problem(HTTPStatus.BAD_REQUEST, "An order has an id and a customer.")
        visitor = f"order {order}"
        wanted = self._calendar.slot(str(words.get("slot")))
        if self._calendar.has_visitor(visitor) or (wanted and wanted.booking and wanted.booking.name == person):
            return Response(status=HTTPStatus.NO_CONTENT)
        for slot in [*([wanted] if wanted else []), *self._calendar.slots()]:
            if slot.free:
                try:
                    self._calendar.book(slot.id, person, visitor)
                except TakenError:
                    continue
                self.live.slot_changed(slot.id)
                return Response(status=HTTPStatus.NO_CONTENT)
        return problem(HTTPStatus.CONFLICT, "No slot is free this week.")

    def cancel_by_api(self, request: Request, booking: str) -> Response:  # noqa: ARG002 - every handler gets its request
        slot = self._calendar.cancel(booking)
        if slot is None:
            raise HttpError(HTTPStatus.NOT_FOUND, "There is no such booking.")
        self.live.slot_changed(slot)
        return Response(status=HTTPStatus.NO_CONTENT)


def _visitor(request: Request) -> str:
    known = request.cookies.get(VISITOR)
    if not known:
        known = request.cookies[VISITOR] = secrets.token_urlsafe(12)
    return known
