"""A request that the API gateway does not let through."""

from __future__ import annotations

from proxy_addons.problem import Code, Problem


class RefusalError(Exception):
    """Raised by whoever finds the reason; the authorizer makes an answer of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.code)
        self.problem = problem


def challenge(realm: str, code: Code, detail: str = "", error: str = "", scope: str = "") -> RefusalError:
    """With ``WWW-Authenticate`` (RFC 6750, section 3): 401, or 403 where the `scope` is missing."""
    parts = [f'Bearer realm="{realm}"']
    if error:
        parts.append(f'error="{error}"')
    if scope:
        parts.append(f'scope="{scope}"')
    return RefusalError(Problem(code, detail, headers=(("WWW-Authenticate", ", ".join(parts)),)))
