#!/usr/bin/env python
"""The portal's commands: `python manage.py help`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    # Statements are bounded where somebody waits; an import or a migration takes what it takes.
    if sys.argv[1:2] not in (["worker"], ["runserver"]):
        os.environ.setdefault("DATABASE_SECONDS", "0")
    execute_from_command_line(sys.argv)
