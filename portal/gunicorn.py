"""How gunicorn serves the portal: `gunicorn -c portal/gunicorn.py portal.wsgi`.

Few processes with many threads. A thread that waits for a hashing slot costs next to nothing,
and while Argon2 runs, the interpreter is free; the memory that hashing takes is bounded by the
slots (members/hashing.py), not by the threads.
"""

from __future__ import annotations

import gc
import json
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import environ
from gunicorn.glogging import Logger, SafeAtoms

# So many files may be open: every connection is one.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(_hard, 8192)), _hard))

# As in the settings: `.env` is read first, the process environment wins.
environ.Env.read_env(Path(__file__).resolve().parent.parent / ".env")

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY") or os.cpu_count() or 1)
worker_class = "portal.gunicorn_worker.Worker"
# More than can be waiting when the database hangs: HASHING_QUEUE and a slot or two for hashing,
# DATABASE_POOL in a statement, a few for a connection (portal.postgresql). One is left for health.
threads = 64
# Connections of a process, nearly all of them waiting for their clients.
worker_connections = 2000
preload_app = True
timeout = 60
graceful_timeout = 30
keepalive = 5
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 8190
# Addresses come from X-Forwarded-For by TRUSTED_PROXIES, in one place only
# (credentials/throttling.py); gunicorn is to believe nobody.
forwarded_allow_ips = ""
control_socket_disable = True
accesslog = "-"


class JsonAtoms(SafeAtoms):
    """What a line of the access log is made of, each as it may stand inside a JSON string.

    The path comes decoded, with whatever somebody put there: a quote or a line break must not
    end the line and begin another one of their own.
    """

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        escaped = {name: json.dumps(str(value))[1:-1] for name, value in atoms.items()}
        dict.__init__(self, escaped)


class JsonLines(Logger):
    """gunicorn's log, whose access lines are JSON whatever is asked."""

    atoms_wrapper_class = JsonAtoms


logger_class = JsonLines
# No query string and no referrer: an address could carry what somebody typed.
access_log_format = (
    '{"at":"%(t)s","method":"%(m)s","path":"%(U)s","status":%(s)s,"bytes":%(B)s,"us":%(D)s}'
)


def when_ready(server: Any) -> None:
    """Keep what is loaded out of the garbage collector's sight, so that processes share it."""
    gc.collect()
    gc.freeze()
