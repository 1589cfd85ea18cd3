"""The portal on a machine whose clock is off: `gunicorn … tests.server.askew`, as CLOCK_OFF says.

As a program (`python -m tests.server.askew`) it is `manage.py worker`. The clock of the whole
process moves, and what waits waits as long as it says. Not by libfaketime 0.9.10, under which
Python's `time.sleep` fails.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta

import time_machine

_off = timedelta(seconds=int(os.environ["CLOCK_OFF"]))
time_machine.travel(datetime.now(UTC) + _off, tick=True).start()

from portal.wsgi import application as application  # noqa: E402 not before the clock is off

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line([sys.argv[0], "worker"])
