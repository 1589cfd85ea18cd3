"""The staff's side in the Django admin, a module for each desk."""

from credentials.admin import members, outbox, record, staff

__all__ = ["members", "outbox", "record", "staff"]
