"""The pages and the API of account."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from http import HTTPStatus

from account.accounts import SAMPLE_PASSWORD, Accounts, User
from account.way_back import WayBack
from common.app import App
from common.message import HttpError, Request, Response, json_response, redirect
from common.neighbourhood import Neighbourhood, neighbourhood
from common.pages import Pages
from common.settings import Settings
from common.siblings import SESSION


def create(settings: Settings) -> App:
    pages = Pages(settings)
    web = Web(settings, pages, Accounts(settings.data_dir))
    return App(
        pages,
        [
            ("GET", "/", web.home),
            ("GET", "/sign-in", web.form),
            ("POST", "/sign-in", web.sign_in),
            ("GET", "/continue", web.go_on),
            ("POST", "/sign-out", web.sign_out),
            ("GET", "/api/me", web.me),
            ("OPTIONS", "/api/me", web.may_ask),
            ("POST", "/api/tickets", web.take_ticket),
            ("POST", "/api/sessions", web.give_session),
        ],
    )


class Web:
    def __init__(self, settings: Settings, pages: Pages, accounts: Accounts) -> None:
        self._name = settings.name
        self._pages = pages
        self._accounts = accounts
        self._cookie_domain = os.environ.get("COOKIE_DOMAIN", "")

    def home(self, request: Request) -> Response:
        user = self._user(request)
        if user is None:
            return redirect("/sign-in")
        texts = self._pages.texts(request)
        csrf, page_cookie = self._csrf(request)
        response = self._pages.render(
            request,
            "home.html",
            title=texts("hello", name=user.name),
            csrf=csrf,
            **user.as_json(),
        )
        return response.with_cookie(request, "page", page_cookie)

    def form(self, request: Request) -> Response:
        way_back = WayBack.parse(request.query)
        if self._user(request):
            return redirect(f"/continue?{way_back.query()}")
        return self._form(request, way_back)

    def _form(self, request: Request, way_back: WayBack, wrong: str = "") -> Response:
        texts = self._pages.texts(request)
        csrf, page_cookie = self._csrf(request)
        response = self._pages.render(
            request,
            "sign_in.html",
            title=texts("sign_in"),
            status=HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
            csrf=csrf,
            wrong=self._pages.fill(request, "wrong.html", text=wrong) if wrong else "",
            login=request.form.get("login", "") if wrong else "",
            password=SAMPLE_PASSWORD,
            app=way_back.app,
            return_to=way_back.return_to,
            ticket="1" if way_back.ticket else "",
        )
        return response.with_cookie(request, "page", page_cookie)

    def sign_in(self, request: Request) -> Response:
        self._check_csrf(request)
        way_back = WayBack.parse(request.form)
        session = self._accounts.sign_in(request.form.get("login", ""), request.form.get("password", ""))
        if session is None:
            return self._form(request, way_back, self._pages.texts(request)("wrong"))
        response = redirect(f"/continue?{way_back.query()}")
        return response.with_cookie(request, SESSION, session, domain=self._domain(request))

    def go_on(self, request: Request) -> Response:
        """The stop between signing in and the page that the visitor came from."""
        way_back = WayBack.parse(request.query)
        if self._user(request) is None:
            return redirect(f"/sign-in?{way_back.query()}")
        ticket = self._accounts.issue_ticket(request.cookies[SESSION]) if way_back.ticket else ""
        return redirect(way_back.location(neighbourhood(request, self._name), ticket))

    def sign_out(self, request: Request) -> Response:
        self._check_csrf(request)
        self._accounts.sign_out(request.cookies.get(SESSION, ""))
        return redirect("/sign-in").with_cookie(request, SESSION, "", domain=self._domain(request), days=0)

    def me(self, request: Request) -> Response:
        user = self._user(request)
        return self._shared(request, json_response({"user": user.as_json() if user else None}))

    def may_ask(self, request: Request) -> Response:
        response = self._shared(request, Response(status=HTTPStatus.NO_CONTENT))
        return response.with_header("Access-Control-Allow-Methods", "GET").with_header("Access-Control-Max-Age", "600")

    def _shared(self, request: Request, response: Response) -> Response:
        """CORS: pages of the own domain may read this, with the visitor's cookie; no others."""
        origin, here = request.headers.get("Origin", ""), neighbourhood(request, self._name)
        if here and here.holds(origin):
            response.with_header("Access-Control-Allow-Origin", origin)
            response.with_header("Access-Control-Allow-Credentials", "true")
        return response.with_header("Vary", "Origin")

    def take_ticket(self, request: Request) -> Response:
        words = request.json
        session = self._accounts.take_ticket(str(words.get("ticket"))) if isinstance(words, dict) else None
        if session is None:
            raise HttpError(HTTPStatus.NOT_FOUND, "There is no such ticket. A ticket is good for one minute, once.")
        return json_response({"session": session})

    def give_session(self, request: Request) -> Response:
        """For a program: the token that the remote API gateway asks for."""
        words = request.json
        login, password = (words.get("login"), words.get("password")) if isinstance(words, dict) else ("", "")
        session = self._accounts.sign_in(str(login), str(password))
        if session is None:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "Name and password do not belong together.")
        return json_response({"session": session}, HTTPStatus.CREATED)

    def _user(self, request: Request) -> User | None:
        return self._accounts.user(request.cookies.get(SESSION, ""))

    def _domain(self, request: Request) -> str:
        """The session is for all services of the domain: COOKIE_DOMAIN, else the one that this request came for."""
        here: Neighbourhood | None = neighbourhood(request, self._name)
        return self._cookie_domain or (here.cookie_domain if here else "")

    def _csrf(self, request: Request) -> tuple[str, str]:
        """A form's token, and the cookie that it belongs to: without the server's secret nobody can make the pair."""
        cookie = request.cookies.get("page") or secrets.token_urlsafe(16)
        words = f"{cookie} {request.cookies.get(SESSION, '')}"
        return hmac.new(self._accounts.csrf_secret, words.encode(), hashlib.sha256).hexdigest(), cookie

    def _check_csrf(self, request: Request) -> None:
        token, _ = self._csrf(request)
        if not hmac.compare_digest(token, request.form.get("csrf", "")):
            raise HttpError(HTTPStatus.FORBIDDEN, self._pages.texts(request)("stale_form"))
