"""The Django admin, but for who may come in and how.

Staff prove a password and a second factor, are counted, suspended and recorded like members, and
nothing of the admin answers to a session that did not go through both steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from inspect import ismethod
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from credentials import audit, login, second_factor, staff_views
from credentials.models import Event
from credentials.throttling import client_address
from credentials.views import signed_out


class StaffSite(AdminSite):
    """The Django admin as it is, but for who may come in and how."""

    site_title = _("Member service")
    site_header = _("Member service: staff")
    index_title = _("What do you want to do?")
    site_url = None
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and second_factor.is_proven(request.session)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """As Django's; and every attempt that a page refuses is on record, whatever the page.

        Whose password is a temporary one gets to the page for choosing another, and to no other.
        """
        with_a_temporary_password = (self.password_change, self.logout)

        @wraps(view)
        def recorded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            temporary = request.user.password_is_temporary  # type: ignore[union-attr]
            if temporary and view not in with_a_temporary_password:
                messages.warning(request, _("First choose a password that only you know."))
                return redirect("admin:password_change")
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied as refused:
                _record_refused(request, refused)
                raise

        return super().admin_view(recorded, cacheable)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        recovery_codes = self.admin_view(self.recovery_codes)
        addresses = [
            path("overview/", self.admin_view(self.overview), name="overview"),
            path("second-factor/", self.second_factor, name="second_factor"),
            path("second-factor/enrol/", self.enrol, name="second_factor_enrol"),
            path(
                "second-factor/recovery-codes/",
                recovery_codes,
                name="second_factor_recovery_codes",
            ),
            *super().get_urls(),
        ]
        for view in _views_of(addresses):
            # Where LoginRequiredMiddleware sends whose session has ended: not to the members'.
            view.login_url = reverse_lazy("admin:login")
        return addresses

    def overview(self, request: HttpRequest) -> HttpResponse:
        """The pictures for supervisors."""
        # Not above: the admin's pages register with this site, and load after it.
        from credentials.admin import overview

        return overview.show(self, request)

    @method_decorator([never_cache, login_not_required])
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {"app_path": request.get_full_path(), **(extra_context or {})}
        return self._page(staff_views.PasswordView, request, _("Sign in"), **context)

    @method_decorator([never_cache, login_not_required])
    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """Step 2 of signing in."""
        return self._page(staff_views.SecondFactorView, request, _("Second step: the code"))

    @method_decorator([never_cache, login_not_required])
    def enrol(self, request: HttpRequest) -> HttpResponse:
        """Step 2 at the first sign-in."""
        title = _("Second step: set your authenticator app up")
        return self._page(staff_views.EnrolView, request, title)

    def recovery_codes(self, request: HttpRequest) -> HttpResponse:
        """New recovery codes of one's own."""
        return self._page(staff_views.NewRecoveryCodesView, request, _("New recovery codes"))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """One's own password: counted and on record, unlike Django's page."""
        title = _("Password change")
        return self._page(staff_views.OwnPasswordView, request, title, **(extra_context or {}))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.user.is_authenticated:
            login.log_out(
                user=request.user, session=request.session, source=client_address(request)
            )
            request.user = AnonymousUser()
        return signed_out("admin:login")

    def _page(self, view: Any, request: HttpRequest, title: Any, **context: Any) -> HttpResponse:
        request.current_app = self.name
        context = {**self.each_context(request), "title": title, **context}
        answer: HttpResponse = view.as_view(extra_context=context)(request)
        return answer


def _record_refused(request: HttpRequest, refused: PermissionDenied) -> None:
    """Put on record who was refused what: the page, and the permission where the page named it."""
    audit.record(
        Event.Act.ACCESS_REFUSED,
        by=audit.staff(request.user),  # type: ignore[arg-type]
        whom=getattr(refused, "whom", ""),
        source=client_address(request),
        path=request.path,
        method=request.method or "",
        wanted=getattr(refused, "wanted", ""),
    )


def _views_of(addresses: Iterable[Any]) -> Iterator[Any]:
    """Yield the view functions behind addresses, included ones too; not bound methods."""
    for address in addresses:
        if isinstance(address, URLResolver):
            yield from _views_of(address.url_patterns)
        elif not ismethod(address.callback):
            yield address.callback
