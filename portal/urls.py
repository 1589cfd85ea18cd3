"""Which app answers which address, on which side.

`SERVE` says which side this process serves: the members' site, the staff's, or both. The other
side's addresses are simply not there.
"""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

from portal import views


def addresses(serve: str) -> list[URLPattern | URLResolver]:
    """Return the addresses of a side: `members`, `staff`, or `both`."""
    members = [path("", include("members.urls")), path("", include("credentials.urls"))]
    # The card host is in the lender's own network, as staff are.
    staff = [path("admin/", admin.site.urls), path("api/", include("credentials.api"))]
    everywhere = [
        path("language/", login_not_required(set_language), name="set_language"),
        path("healthz/", views.healthz),
        path("readyz/", views.readyz),
    ]
    sides = {"members": members, "staff": staff, "both": members + staff}
    return [*sides[serve], *everywhere]


urlpatterns = addresses(settings.SERVE)

handler400 = "portal.views.bad_request"
handler500 = "portal.views.server_error"
