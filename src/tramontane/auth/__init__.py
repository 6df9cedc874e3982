"""Who is calling, and what they may do."""

from tramontane.auth.authenticator import Authenticator, NoAuthentication, NotAuthenticatedError
from tramontane.auth.caller import DEFAULT_PROJECT, Caller
from tramontane.auth.policy import PolicyRules, Rules

__all__ = [
    "DEFAULT_PROJECT",
    "Authenticator",
    "Caller",
    "NoAuthentication",
    "NotAuthenticatedError",
    "PolicyRules",
    "Rules",
]
