"""What a NATS server and a stream there are set to, as far as it keeps them from what they could promise."""

from __future__ import annotations

from nats.aio.client import ServerVersion
from nats.js import api
from nats.js.errors import APIError, ServiceUnavailableError

from procman.errors import StoresError
from proxy_addons.events.engine import LET_IN, away

#: The version that can sync each write.
_SYNCS_ALWAYS = (2, 10)


def loses(config: api.StreamConfig) -> str:
    """What in a stream's configuration drops events before they are delivered; it may be somebody's own."""
    if config.storage == api.StorageType.MEMORY:
        return f"the stream {config.name} is kept in memory: what is acknowledged goes with the server"
    limits = {"max_age": config.max_age, "max_bytes": config.max_bytes, "max_msgs": config.max_msgs}
    limited = [name for name, value in limits.items() if value and value > 0]
    if limited:
        hint = f"nats stream edit {config.name} --{limited[0].replace('_', '-')}=-1"
        return f"the stream {config.name} drops events by {', '.join(limited)}, delivered or not: {hint}"
    return ""


def syncs_late(version: ServerVersion) -> str:
    """What a server that is too old cannot do (NATS' release notes for 2.10: ``sync_interval: always``)."""
    if (version.major, version.minor) >= _SYNCS_ALWAYS:
        return ""
    return (
        f"nats-server {version.major}.{version.minor}.{version.patch} cannot sync each event to the disk: if its "
        "machine loses power, up to two minutes of acknowledged events are lost (a killed server loses none). "
        "Install nats-server 2.10 or newer, with sync_interval: always in its jetstream { } block"
    )


def refuses(error: Exception) -> bool:
    """Whether the server does not know us. It says so, and ends the connection, which is another error."""
    return "authorization" in str(error).lower()


def not_opened(where: str, error: Exception, said: Exception | None) -> Exception:
    """What to say of it. nats-py tries again by itself; why it has to, it has `said` beside it."""
    if isinstance(error, ServiceUnavailableError):
        hint = "Start it with JetStream: nats-server -js, or jetstream { } in its configuration"
        return StoresError(f"{where}: the server does not offer JetStream", hint)
    if isinstance(error, APIError):
        return StoresError(f"{where}: {error.description}", "See: nats stream info")
    why = said if said and isinstance(error, TimeoutError) else error
    if refuses(why):
        return StoresError(f"{where} does not let us in: {why}", LET_IN)
    return away(where, why)
