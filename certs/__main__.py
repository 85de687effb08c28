"""The local CA by itself: `python -P -m certs --domain local.example.com --folder ~/ca` prints its file.

The supervisor runs this once as a child, so that it never loads cryptography (11 MB) itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from certs.authority import Authority
from certs.bundle import write_bundle
from certs.names import DEFAULT_NAMES, leaf_names
from procman.errors import StoresError


def main(arguments: list[str] | None = None) -> int:
    """Prints the path of the root certificate, then that of the bundle if one was asked for."""
    parser = argparse.ArgumentParser(
        "python -P -m certs", description="Makes the local CA of a domain where there is none, and prints its file."
    )
    parser.add_argument("--domain", required=True, help="such as local.example.com")
    parser.add_argument("--folder", required=True, type=Path, help="where the CA lives: one folder a domain")
    parser.add_argument(
        "--bundle", type=Path, metavar="FOLDER", help="also write bundle.pem there: this CA and the system's roots"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="issue its certificate now rather than when asked for")
    options = parser.parse_args(arguments)
    folder = options.folder.expanduser().absolute()
    try:
        authority = Authority.load_or_create(folder, options.domain)
        for name in options.names:
            _issue(authority, name)
        lines = [authority.ca_file]
        if options.bundle:
            lines.append(write_bundle(authority, options.bundle.expanduser().absolute(), environ=os.environ))
    except StoresError as e:
        sys.stderr.write(f"{e.message}\n{e.hint}\n")
        return e.exit_code
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _issue(authority: Authority, name: str) -> None:
    if leaf_names(name, authority.domain) == DEFAULT_NAMES and name not in DEFAULT_NAMES:
        raise StoresError(
            f"No certificate for {name}: it is no host name under {authority.domain} or localhost",
            "A local CA may not vouch for other sites; leave the name out",
            exit_code=2,
        )
    authority.leaf(name)


if __name__ == "__main__":
    sys.exit(main())
