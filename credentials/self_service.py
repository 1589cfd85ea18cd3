"""The signed-in member's own pages that lead to an act: a code for a call, a ticket, closure."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, TemplateView

from credentials import closure, pin_reset, verification
from credentials.forms.closure import AskClosureForm
from credentials.forms.fields import ActForm
from credentials.refusals import Refusal
from credentials.throttling import client_address
from credentials.views import policy
from members.models import Member, User
from members.numbers import grouped


class OwnPage:
    """Only for signed-in members; staff, who have no card and no number, go to the admin."""

    member: Member

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = request.user
        if not isinstance(user, User) or user.member is None:
            return redirect("/admin/")
        self.member = user.member
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
            balance=say("%(yen)s yen") % {"yen": f"{owed:,}"} if owed else "",
            **context,
        )
