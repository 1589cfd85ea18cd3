"""The portal, to be killed between one step and the next: `gunicorn … tests.server.mortal`.

Serves the very application, with a look before and after each of STEPS: where the file that
MORTAL names holds the name of the step, the process kills itself there, once. As a program
(`python -m tests.server.mortal`) it is `manage.py worker`, as mortal as that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

# Where a function is looked up when it is called.
STEPS = (
    "credentials.login:reserve",
    "credentials.login:_open",
    "credentials.login:settle_success",
    "credentials.login:open_session",
    "credentials.suspension:fail",
    "credentials.suspension:settle_failure",
    "credentials.audit:record",
    "credentials.mail:queue",
    "credentials.mail:message_of",
    "credentials.mail:_close",
    "credentials.registration:ask",
    "credentials.registration:confirm",
    "credentials.registration:register",
)
_ORDER = Path(os.environ["MORTAL"])


def _die_if_ordered(step: str) -> None:
    try:
        ordered = _ORDER.read_text() == step
    except OSError:
        return
    if ordered:
        _ORDER.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _watched(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        _die_if_ordered(f"before {step}")
        returned = function(*values, **named)
        _die_if_ordered(f"after {step}")
        return returned

    return call


def watch() -> None:
    """Put a look before and after each step."""
    for step in STEPS:
        module, name = step.split(":")
        found = import_module(module)
        setattr(found, name, _watched(step, getattr(found, name)))


from portal.wsgi import application as application  # noqa: E402 what is watched has to be there

watch()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line([sys.argv[0], "worker"])
