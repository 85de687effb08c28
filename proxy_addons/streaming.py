"""Lets every body pass as it comes, in both directions, and keeps nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow
    from mitmproxy.tcp import TCPFlow


class Streaming:
    """Without it mitmproxy holds a body until its end: no server-sent events, and memory as large as the upload."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """First of all: an addon that wants a body may say so after this one."""
        flow.request.stream = True

    def responseheaders(self, flow: HTTPFlow) -> None:
        """A response that an addon made has its body already, and is sent from there."""
        if flow.response is not None and flow.response.raw_content is None:
            flow.response.stream = True


class Passing:
    """Forgets what a connection of messages has carried: last of all, so that every addon has seen it."""

    def websocket_message(self, flow: HTTPFlow) -> None:
        """The message is on its way when this returns; mitmproxy would keep them all until the socket closes."""
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    def tcp_message(self, flow: TCPFlow) -> None:
        """The same for a connection that changed to another protocol than WebSocket."""
        flow.messages.clear()
