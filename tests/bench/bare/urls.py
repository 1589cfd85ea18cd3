"""All addresses of the portal, and `/bare/`."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


@login_not_required
def bare(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("ok", headers={"Content-Length": "2"})


urlpatterns = [path("bare/", bare), path("", include("portal.urls"))]
