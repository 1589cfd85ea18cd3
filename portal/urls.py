"""Which app answers which address."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from portal import views

urlpatterns = [
    path("", include("members.urls")),
    path("", include("credentials.urls")),
    path("language/", login_not_required(set_language), name="set_language"),
    path("admin/", admin.site.urls),
    path("healthz/", views.healthz),
    path("readyz/", views.readyz),
]

handler400 = "portal.views.bad_request"
handler500 = "portal.views.server_error"
