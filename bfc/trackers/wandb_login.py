"""Which W&B server is used, whether it can be reached, and whether there is a key for it.

No key is read into this program: where one would be found is all that is asked.
"""

from __future__ import annotations

import functools
import netrc
import os
import socket
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

CLOUD = "https://api.wandb.ai"
CONNECT_SECONDS = 3.0
PROXY_VARIABLES = (
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)


def server_url() -> SplitResult:
    """The address of the server."""
    return urlsplit(os.environ.get("WANDB_BASE_URL", CLOUD))


def has_key() -> bool:
    """Whether W&B would find a key; which one is W&B's business alone."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(server_url().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


@functools.cache
def is_server_reachable() -> bool:
    """Whether the server accepts connections; true behind a proxy, where this cannot be tested."""
    if any(os.environ.get(name) for name in PROXY_VARIABLES):
        return True
    url = server_url()
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        socket.create_connection((url.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
