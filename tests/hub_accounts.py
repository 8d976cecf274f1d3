"""Who the loopback Hub knows by which token, and what each may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["write", "read", "fineGrained"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a fine-grained token may do with one thing: a "user", an "org", or a repository by its type."""

    type: str
    name: str
    permissions: tuple[str, ...] = ("repo.content.read", "repo.write")


@dataclass(frozen=True, slots=True)
class Account:
    """A user as one token shows them.

    Attributes:
        orgs: The role of the user in each organisation: read, contributor, write or admin.
    """

    name: str
    role: Role = "write"
    orgs: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()

    def may_create(self, repo_id: str) -> bool:
        """Whether the token may create or delete a repository in its namespace."""
        namespace = repo_id.partition("/")[0]
        return self._writes_in(namespace) and self._allows("repo.write", namespace)

    def may_write(self, repo_type: str, repo_id: str) -> bool:
        """Whether the token may change a repository."""
        namespace = repo_id.partition("/")[0]
        return self._writes_in(namespace) and self._allows("repo.write", namespace, (repo_type, repo_id))

    def may_read_private(self, repo_type: str, repo_id: str) -> bool:
        """Whether the token may see a private repository."""
        namespace = repo_id.partition("/")[0]
        belongs = namespace == self.name or namespace in self.orgs
        return belongs and self._allows("repo.content.read", namespace, (repo_type, repo_id))

    def _writes_in(self, namespace: str) -> bool:
        at_home = namespace == self.name or self.orgs.get(namespace) in {"contributor", "write", "admin"}
        return self.role != "read" and at_home

    def _allows(self, permission: str, namespace: str, repo: tuple[str, str] | None = None) -> bool:
        if self.role != "fineGrained":
            return True
        meant = {("user", namespace), ("org", namespace), repo}
        return any((scope.type, scope.name) in meant and permission in scope.permissions for scope in self.scopes)


def token(letter: str) -> str:
    """A token that looks like a real one, of one letter."""
    return f"hf_{letter * 34}"


_ORGS = {"club": "write", "readers": "read"}
WRITE_TOKEN = token("w")
READ_TOKEN = token("r")
ONE_REPO_TOKEN = token("f")
"""May write the dataset me/one, and nothing else."""
OTHER_TOKEN = token("y")
"""Of another user, you."""
ACCOUNTS: Mapping[str, Account] = {
    WRITE_TOKEN: Account("me", "write", _ORGS),
    READ_TOKEN: Account("me", "read", _ORGS),
    ONE_REPO_TOKEN: Account("me", "fineGrained", _ORGS, (Scope("dataset", "me/one"),)),
    OTHER_TOKEN: Account("you"),
}


def whoami(account: Account) -> dict[str, Any]:
    """What whoami-v2 says of an account."""
    orgs = [
        {"type": "org", "name": name, "fullname": name.title(), "roleInOrg": role, "isEnterprise": False}
        for name, role in account.orgs.items()
    ]
    shown: dict[str, Any] = {"displayName": "a token", "role": account.role, "createdAt": "2026-01-01T00:00:00.000Z"}
    if account.role == "fineGrained":
        scoped = [
            {"entity": {"_id": "0" * 24, "type": scope.type, "name": scope.name}, "permissions": [*scope.permissions]}
            for scope in account.scopes
        ]
        shown["fineGrained"] = {"canReadGatedRepos": False, "global": [], "scoped": scoped}
    who = {"type": "user", "id": "1" * 24, "name": account.name, "fullname": account.name.title()}
    return {**who, "isPro": False, "orgs": orgs, "auth": {"type": "access_token", "accessToken": shown}}
