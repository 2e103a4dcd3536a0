"""Addresses, as they may be told."""

from __future__ import annotations

import re


def without_password(address: str) -> str:
    """An address as it may be told: scheme and host; user, path and query may all hold a password.

    Only the scheme is left where a `/`, `?` or `#` that is not escaped hides where the password ends, and nothing of
    what has an `@` and no scheme. Other names, as of a device, are told whole.
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return "…" if "@" in address else address
    host_and_user, *more = re.split(r"[/?#]", rest, maxsplit=1)
    host = host_and_user.rpartition("@")[2]
    if "@" in rest and host == host_and_user:
        return f"{scheme}://…"
    return f"{scheme}://{host}{'/…' if any(more) else ''}"
