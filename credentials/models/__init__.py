"""What the acts leave behind, a module for each business.

Times are the database's clock (`db_default=Now()`): a web server's clock that is wrong moves
neither an expiry nor a suspension.
"""

from credentials.models.card_host import ApiClient, ApiKey, CardVerification
from credentials.models.closure import Closure
from credentials.models.decoy import Decoy
from credentials.models.outbox import OutboxMail
from credentials.models.pin_reset import PinReset
from credentials.models.record import Event, Seal
from credentials.models.registration import RegistrationRequest
from credentials.models.second_factor import RecoveryCode, SecondFactor
from credentials.models.sessions import Session
from credentials.models.verification import HandOffCode, IdentityCheck

__all__ = [
    "ApiClient",
    "ApiKey",
    "CardVerification",
    "Closure",
    "Decoy",
    "Event",
    "HandOffCode",
    "IdentityCheck",
    "OutboxMail",
    "PinReset",
    "RecoveryCode",
    "RegistrationRequest",
    "Seal",
    "SecondFactor",
    "Session",
]
