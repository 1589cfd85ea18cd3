"""The pages for members who come in, and for those who cannot. Views declare; acts decide."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect, resolve_url
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.generic import FormView, TemplateView

from credentials import devices, login, registration
from credentials.forms.fields import ActForm
from credentials.forms.pin_reset import PinForm
from credentials.forms.registration import ChooseForm, CodeForm, RegistrationForm
from credentials.forms.sign_in import CardSignInForm, MemberSignInForm, WebIDSignInForm
from credentials.refusals import Refusal, Why
from credentials.throttling import client_address
from members.models import User

_STATUS = {Why.THROTTLED: 429, Why.CLOSED: 429, Why.BUSY: 503}
RESEND_SECONDS = 60
TERMINAL_DONE_SECONDS = 30


def policy() -> dict[str, Any]:
    """Return the policies that pages tell visitors about."""
    return {
        "failure_limit": settings.LOGIN_FAILURE_LIMIT,
        "suspension_hours": max(round(settings.SUSPENSION_SECONDS / 3600), 1),
        "suspensions_until_in_person": settings.SUSPENSIONS_UNTIL_IN_PERSON,
        "call_centre_phone": settings.CALL_CENTRE_PHONE,
        "call_centre_hours": settings.CALL_CENTRE_HOURS,
    }


@method_decorator([login_not_required, never_cache, sensitive_post_parameters()], name="dispatch")
class ActView(FormView):
    """A page with one form, whose content goes to one act."""

    http_method_names = ["get", "head", "post", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.turned_away() or super().dispatch(request, *args, **kwargs)

    def turned_away(self) -> HttpResponse | None:
        """Return where to go instead, for whom this page is not (yet); None to stay."""
        return None

    def form_valid(self, form: ActForm) -> HttpResponse:
        refusal = form.act(self.request)
        if refusal:
            return self.refuse(form, refusal)
        return super().form_valid(form)

    def refuse(self, form: ActForm, refusal: Refusal) -> HttpResponse:
        """Show the page again with the refusal; where waiting helps, say how long."""
        form.show(refusal)
        response = self.form_invalid(form)
        response.status_code = _STATUS.get(refusal.why, 200)
        if refusal.retry_after:
            response["Retry-After"] = str(refusal.retry_after)
        return response

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(**policy(), **context)


class SignInView(ActView):
    """One of the two ways in."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if isinstance(request.user, User) and request.user.member:
            return redirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def next_url(self) -> str:
        """Return where to go after signing in: a page of our own host, or nothing."""
        url = str(
            self.request.POST.get(REDIRECT_FIELD_NAME)
            or self.request.GET.get(REDIRECT_FIELD_NAME, "")
        )
        own = url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )
        return url if own else ""

    def get_success_url(self) -> str:
        return self.next_url() or resolve_url(settings.LOGIN_REDIRECT_URL)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(next=self.next_url(), **context)

    def form_valid(self, form: ActForm) -> HttpResponse:
        response = super().form_valid(form)
        if isinstance(response, HttpResponseRedirect):
            rotate_token(self.request)
            if isinstance(form, MemberSignInForm):
                devices.keep(form.device, response)
        return response


class CardSignInView(SignInView):
    template_name = "credentials/login_card.html"
    form_class = CardSignInForm


class WebIDSignInView(SignInView):
    template_name = "credentials/login_web_id.html"
    form_class = WebIDSignInForm


@login_not_required
@never_cache
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Sign out; also where nobody is signed in any more."""
    if request.user.is_authenticated:
        login.log_out(user=request.user, session=request.session, source=client_address(request))
        request.user = AnonymousUser()
        rotate_token(request)
    return signed_out("login")


def signed_out(to: str) -> HttpResponse:
    """Lead to the page `to`, with nothing left in the browser of what it showed."""
    response = redirect(to)
    response["Clear-Site-Data"] = '"cache"'
    return response


class RegistrationView(ActView):
    """Step 1. Whoever asks, and whatever they ask with, the next page is the same."""

    template_name = "credentials/register.html"
    form_class = RegistrationForm
    success_url = reverse_lazy("register_code")


class CodeView(ActView):
    """Step 2, and asking for another code."""

    template_name = "credentials/register_code.html"
    form_class = CodeForm
    success_url = reverse_lazy("register_choose")

    def turned_away(self) -> HttpResponse | None:
        return None if registration.asked(self.request.session) else redirect("register")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "resend" not in request.POST:
            return super().post(request, *args, **kwargs)
        again = RegistrationForm(registration.asked(request.session))
        refusal = again.act(request) if again.is_valid() else None
        if refusal:
            # Bound, to bear the refusal, but with nothing required: no code was typed here.
            form = self.form_class({})
            form.fields["code"].required = False
            return self.refuse(form, refusal)
        return redirect(request.path)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(
            code_minutes=max(settings.CODE_SECONDS // 60, 1),
            code_attempts=settings.CODE_ATTEMPTS,
            resend_seconds=RESEND_SECONDS,
            asked=registration.asked(self.request.session),
            **context,
        )


class ChooseView(ActView):
    """Step 3. Only where the steps before it still hold."""

    template_name = "credentials/register_choose.html"
    form_class = ChooseForm
    success_url = reverse_lazy("register_done")

    def turned_away(self) -> HttpResponse | None:
        self.registrant = registration.registrant(self.request.session)
        return None if self.registrant else redirect("register")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "registrant": self.registrant}


@method_decorator([login_not_required, never_cache], name="dispatch")
class RegisteredView(TemplateView):
    """The end of the registration: sign in with it now."""

    template_name = "credentials/register_done.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        web_id = registration.registered(self.request.session)
        return super().get_context_data(web_id=web_id, **context)


class PinView(ActView):
    """The terminal in the store."""

    template_name = "credentials/pin.html"
    form_class = PinForm
    success_url = reverse_lazy("pin_done")


@method_decorator([login_not_required, never_cache], name="dispatch")
class PinDoneView(TemplateView):
    """The end at the terminal: back to the start by itself, and nothing left in the browser."""

    http_method_names = ["get", "head", "options"]
    template_name = "credentials/pin_done.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        # A header, so that it works without scripts.
        response["Refresh"] = f"{TERMINAL_DONE_SECONDS}; url={resolve_url('pin')}"
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response


@method_decorator([login_not_required, never_cache], name="dispatch")
class PlainPage(TemplateView):
    """A page without a form, the same for everyone."""

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(**policy(), **context)
