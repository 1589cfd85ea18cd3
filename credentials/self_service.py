"""The signed-in member's own pages that lead to an act.

A code for a call, a ticket, the sign-ins and what to do about one, closure.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, TemplateView

from credentials import closure, pin_reset, sign_ins, verification
from credentials.forms.closure import AskClosureForm
from credentials.forms.fields import ActForm
from credentials.refusals import Refusal
from credentials.sessions import others_open
from credentials.throttling import client_address
from credentials.views import policy
from members.models import Member, User, Way
from members.numbers import grouped


class OwnPage:
    """Only for signed-in members; staff, who have no card and no number, go to the admin."""

    member: Member
    user: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = request.user
        if not isinstance(user, User) or user.member is None:
            return redirect("/admin/")
        self.user, self.member = user, user.member
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(  # type: ignore[misc]
            **policy(), member=self.member, **context
        )


@method_decorator(never_cache, name="dispatch")
class OneTimeDigits(OwnPage, TemplateView):
    """Explains a number that is made on pressing the button, and shows it once."""

    http_method_names = ["get", "head", "post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make it; what came before it ends."""
        made = self.make(client_address(request))
        if isinstance(made, Refusal):
            context = self.get_context_data(refusal=made.reason)
        else:
            context = self.get_context_data(digits=made)
        return self.render_to_response(context)

    def make(self, source: str) -> str | Refusal:
        """Return the digits as they are read out."""
        raise NotImplementedError


class HandOff(OneTimeDigits):
    """A code to read out to the operator, in place of questions."""

    template_name = "credentials/hand_off.html"

    def make(self, source: str) -> str | Refusal:
        code = verification.make_hand_off_code(member=self.member, source=source)
        return code if isinstance(code, Refusal) else grouped(code, 3)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        minutes = int(verification.HAND_OFF_LIFE.total_seconds() // 60)
        return super().get_context_data(minutes=minutes, **context)


class PreparePin(OneTimeDigits):
    """A ticket to bring along to the contract machine or the store."""

    template_name = "credentials/pin_prepare.html"

    def make(self, source: str) -> str | Refusal:
        ticket = pin_reset.prepare_for_oneself(member=self.member, source=source)
        return ticket if isinstance(ticket, Refusal) else grouped(ticket, 4)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        hours = int(pin_reset.PREPARED_FOR.total_seconds() // 3600)
        return super().get_context_data(hours=hours, **context)


@method_decorator(never_cache, name="dispatch")
class SignIns(OwnPage, TemplateView):
    """The member's own sign-ins, and how many sessions are open; posted to, ends the others."""

    http_method_names = ["get", "head", "post", "options"]
    template_name = "credentials/sign_ins.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign out everywhere else."""
        refusal = sign_ins.sign_out_everywhere(
            user=self.user, session=request.session, source=client_address(request)
        )
        if refusal is None:
            messages.success(request, _("You are signed out on every other device."))
        return redirect("sign_ins")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        session = self.request.session
        return super().get_context_data(
            history=sign_ins.history(member=self.member, session=session),
            others_open=others_open(session, self.user),
            shown_days=sign_ins.SHOWN_FOR.days,
            shown_at_most=sign_ins.SHOWN_AT_MOST,
            failed_at_most=sign_ins.FAILED_AT_MOST,
            **context,
        )


@method_decorator(never_cache, name="dispatch")
class Disown(OwnPage, TemplateView):
    """“This wasn't me”: says what will stop, and stops it. Of one sign-in, or of none said."""

    http_method_names = ["get", "head", "post", "options"]
    template_name = "credentials/disown.html"

    def sign_in(self) -> sign_ins.SignIn | None:
        """Return the sign-in that this page is about."""
        if "sign_in" not in self.kwargs:
            return None
        found = sign_ins.find(member=self.member, pk=self.kwargs["sign_in"])
        if found is None:
            raise Http404
        return found

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Stop everything; this session as well."""
        stopped = sign_ins.disown(
            user=self.user,
            sign_in=self.sign_in(),
            session=request.session,
            source=client_address(request),
        )
        if isinstance(stopped, Refusal):
            return redirect("login")
        request.user = AnonymousUser()
        rotate_token(request)
        # A visitor's session, for the next page to say what has stopped.
        request.session[Disowned.IN_SESSION] = list(stopped)
        return redirect("disowned")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        sign_in = self.sign_in()
        stops = sign_ins.secrets_of(sign_in, user=self.user)
        page = {**context, "sign_in": sign_in, **Disowned.words(stops)}
        return super().get_context_data(**page)


@method_decorator([login_not_required, never_cache], name="dispatch")
class Disowned(TemplateView):
    """What has stopped, and the ways back; for whoever has just disowned a sign-in."""

    IN_SESSION = "disowned"
    http_method_names = ["get", "head", "options"]
    template_name = "credentials/disowned.html"

    @staticmethod
    def words(stopped: Any) -> dict[str, bool]:
        """Return what templates ask about the ways whose secret stops."""
        return {"no_pin": Way.CARD in stopped, "no_password": Way.WEB_ID in stopped}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        stopped = request.session.get(self.IN_SESSION)
        if stopped is None:
            return redirect("login")
        return self.render_to_response({**policy(), **self.words(stopped)})


@method_decorator(never_cache, name="dispatch")
class Closing(OwnPage, FormView):
    """Ask for the end of the membership, see how far it is, take it back."""

    http_method_names = ["get", "head", "post", "options"]
    template_name = "credentials/closure.html"
    form_class = AskClosureForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "member": self.member}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "withdraw" not in request.POST:
            return super().post(request, *args, **kwargs)
        refusal = closure.withdraw(member=self.member, source=client_address(request))
        if refusal:
            messages.error(request, refusal.reason)
        else:
            messages.success(request, _("The closure is withdrawn. Your membership goes on."))
        return redirect("closure")

    def form_valid(self, form: ActForm) -> HttpResponse:
        refusal = form.act(self.request)
        if refusal:
            form.show(refusal)
            return self.form_invalid(form)
        return redirect("closure")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        owed = self.member.balance
        return super().get_context_data(
            closure=closure.open_closure(self.member),
            balance=_("%(yen)s yen") % {"yen": f"{owed:,}"} if owed else "",
            **context,
        )
