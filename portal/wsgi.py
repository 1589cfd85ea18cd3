"""The entry point for gunicorn: `gunicorn -c portal/gunicorn.py portal.wsgi`."""

import os

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from portal.requests import Request

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from portal.checks import warn_of_published_keys  # noqa: E402 it needs the settings

warn_of_published_keys()

# Where that has not been done, so that a bare checkout serves; and before the application, which
# looks once, when it starts, for the files there are.
if not settings.PLAIN_HTTP and not (settings.STATIC_ROOT / "staticfiles.json").exists():
    call_command("collectstatic", interactive=False, verbosity=0)

application = get_wsgi_application()
application.request_class = Request


def load_all() -> None:
    """Import what the first requests would import, and all of them at once, in many threads.

    gunicorn does this before it forks, so that the processes also share the memory of it.
    """
    from credentials.counters import counters

    _ = get_resolver().url_patterns
    counters()


load_all()
