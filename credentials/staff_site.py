"""The admin's own sign-in: staff are counted, suspended and recorded like members."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from credentials import login
from credentials.forms.sign_in import StaffSignInForm
from credentials.throttling import client_address
from credentials.views import SignInView


class StaffSignInView(SignInView):
    """The admin's sign-in page, on the same act as the members' ones."""

    template_name = "admin/login.html"
    form_class = StaffSignInForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Whoever is signed in as a member sees the page, too.
        return super(SignInView, self).get(request, *args, **kwargs)

    def get_success_url(self) -> str:
        return self.next_url() or "/admin/"


class StaffSite(AdminSite):
    """The Django admin as it is, but for who may come in and how."""

    site_title = _("Member service")
    site_header = _("Member service: staff")
    index_title = _("What do you want to do?")
    site_url = None
    enable_nav_sidebar = True

    @method_decorator([never_cache, login_not_required])
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": _("Sign in"),
            "app_path": request.get_full_path(),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return StaffSignInView.as_view(extra_context=context)(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.user.is_authenticated:
            login.log_out(
                user=request.user, session=request.session, source=client_address(request)
            )
            request.user = AnonymousUser()
        return redirect("admin:login")
