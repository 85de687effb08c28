"""The corner of a page where the visitor's name stands, and the way to sign in and back."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote, urlencode

from common.message import HttpError, Request, Response, redirect
from common.neighbourhood import neighbourhood
from common.pages import Markup, Pages
from common.siblings import SESSION, Answer, Siblings


class Visitors:
    def __init__(self, siblings: Siblings, pages: Pages) -> None:
        self._siblings = siblings
        self._pages = pages

    def corner(self, request: Request, answer: Answer) -> Markup:
        texts, user = self._pages.texts(request), name(answer)
        if not answer.ok:
            return self._pages.fill(request, "who_unknown.html", text=texts("sign_in_unreachable"))
        if user:
            return self._pages.fill(request, "who.html", name=user, initial=user[:1])
        return self._pages.fill(request, "who_nobody.html", return_to=quote(request.path))

    # The two links lead to this service first, and on by a redirect. A gateway that serves this page from the remote
    # environment translates the Location of a redirect, and cannot know all the links in a page.
    def routes(self) -> list[tuple[str, str, Callable[[Request], Response]]]:
        return [
            ("GET", "/sign-in", self.sign_in),
            ("GET", "/signed-in", self.signed_in),
            ("GET", "/account", lambda request: redirect(self._siblings.public_url(request, "account") + "/")),
        ]

    def sign_in(self, request: Request) -> Response:
        """To account, which leads back to `return_to` on this service.

        The service is named and not its URL: this account may be the remote one, for which this service stands
        elsewhere. Below "localhost" browsers share no cookie, so there account is asked for a ticket to take home.
        """
        here = neighbourhood(request, self._siblings.name)
        words = {"app": self._siblings.name, "return_to": request.query.get("return_to", "/")}
        if here is None or not here.cookie_domain:
            words |= {"return_to": "/signed-in", "ticket": "1"}
        return redirect(f"{self._siblings.public_url(request, 'account')}/sign-in?{urlencode(words)}")

    def signed_in(self, request: Request) -> Response:
        """The way back with a ticket: account gives the session for it, once."""
        answer = self._siblings.call(
            "account", "/api/tickets", method="POST", data={"ticket": request.query.get("ticket")}
        )
        if not answer.ok:
            raise HttpError(HTTPStatus.BAD_GATEWAY, f"The ticket was not taken ({answer.hint}). Please sign in again.")
        return redirect("/").with_cookie(request, SESSION, answer.data["session"])


def name(answer: Answer) -> str:
    """The name of who is signed in; empty for nobody, and when account could not be asked."""
    user = answer.data.get("user") if answer.ok and isinstance(answer.data, dict) else None
    return str(user["name"]) if user else ""
