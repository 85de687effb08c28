"""What stock frameworks read from the environment, so that they work behind the gateway with no edit of their own.

docs/services.md has the table of what is set, and of what cannot be set from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: Vite's ``server.allowedHosts`` (6.1 and later). One host only, before Vite 8; a leading dot takes in all below it.
VITE: Final = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"
#: Rails' ``config.hosts`` in development (6.1 and later): with commas, and a leading dot takes in one label.
RAILS: Final = "RAILS_DEVELOPMENT_HOSTS"
#: Servers that take their port from a variable of their own, and not from PORT.
PORTS: Final = ("FLASK_RUN_PORT", "JUPYTER_PORT", "STREAMLIT_SERVER_PORT", "UVICORN_PORT")


def variables(domain: str, hosts: Iterable[str], port: int) -> dict[str, str]:
    """For a service whose `hosts` are relative to `domain`."""
    deeper = [f"{host.removeprefix('*')}.{domain}" for host in hosts if "." in host]
    return {
        VITE: f".{domain}",
        RAILS: ",".join([f".{domain}", *deeper]),
        **dict.fromkeys(PORTS, str(port)),
        "WDS_SOCKET_PORT": "0",  # Create React App's client asks where its page came from, not the server's own port
        "STREAMLIT_SERVER_HEADLESS": "true",  # else its first start asks for an e-mail address, and waits
    }


def kept(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """What the user allows himself, which ours must not take away: beside ours where there is room for both."""
    found = {name: theirs[name] for name in (VITE, RAILS) if name in ours and theirs.get(name)}
    if RAILS in found:
        found[RAILS] = f"{found[RAILS]},{ours[RAILS]}"
    return found
