"""Who may do what: accounts, sessions, API keys, roles, the gate and the audit log.

`serving.limits` bounds what anybody may ask for; this says who asks and whether it is his to ask,
and keeps a record of what was done. It never looks into a case: those who do call `demand` and
`record`.
"""

from serving.access.accounts import ACCOUNTS, TRIES, Account, AccountError
from serving.access.audit import AUDIT, Act, Verdict, record, record_all, verify
from serving.access.credentials import Credentials
from serving.access.desk import Desk, seal_audit, verify_audit
from serving.access.gate import RULES, Gate, Open, actor_of
from serving.access.identity import Identity, LocalIdentity
from serving.access.keys import API_KEYS, ApiKey, ApiKeyError
from serving.access.passwords import Passwords
from serving.access.roles import MAY, ROLES, Action, Actor, Role, demand, demand_sight
from serving.access.seals import SealError, Seals
from serving.access.sessions import SESSIONS, SessionLimits
from serving.access.sign_in import SignIn

__all__ = [
    "ACCOUNTS",
    "API_KEYS",
    "AUDIT",
    "MAY",
    "ROLES",
    "RULES",
    "SESSIONS",
    "TRIES",
    "Account",
    "AccountError",
    "Act",
    "Action",
    "Actor",
    "ApiKey",
    "ApiKeyError",
    "Credentials",
    "Desk",
    "Gate",
    "Identity",
    "LocalIdentity",
    "Open",
    "Passwords",
    "Role",
    "SealError",
    "Seals",
    "SessionLimits",
    "SignIn",
    "Verdict",
    "actor_of",
    "demand",
    "demand_sight",
    "record",
    "record_all",
    "seal_audit",
    "verify",
    "verify_audit",
]
