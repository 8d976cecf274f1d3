"""Where something is to go on the Hub, looked at before anything is made: who asks, may they, what stands there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from kanjiprep.errors import HubError
from kanjiprep.publishing import names
from kanjiprep.publishing.hub import patience as waiting
from kanjiprep.publishing.hub.courier import Hub, HubFault
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub.words import told

RepoType = Literal["dataset", "model"]
MAIN: Final = "main"
CARD: Final = "README.md"
_FIRST_ATTEMPTS: Final = 3
"""Of the first call of all: who is offline should hear it soon."""
_WRITES: Final = ("write", "admin", "contributor")


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a user wants something.

    Attributes:
        repo_id: ``NAMESPACE/NAME``, or a name in one's own namespace.
        repo_type: ``dataset`` or ``model``.
        revision: A branch.
        tag: To stand at the commit; empty for none.
        private: Whether nobody else is to see it.
    """

    repo_id: str
    repo_type: RepoType
    revision: str = MAIN
    tag: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose token is used.

    Attributes:
        endpoint: The Hub's address.
        name: Of the user.
        orgs: Their organisations, each with their role there; an empty role is not known.
        token: The token's own name; empty if it has none.
        role: ``write``, ``read``, ``fineGrained``, or what else the Hub says.
        scopes: Permissions by name of a namespace or repository, of a fine-grained token.
    """

    endpoint: str
    name: str
    orgs: Mapping[str, str]
    token: str
    role: str
    scopes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub shows it: its size, and its SHA-256 if it is a large one, else git's hash."""

    size: int
    git: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository as it stands.

    Attributes:
        exists: Whether it is there at all.
        private: Whether only some may see it; None where it is not there.
        head: Commit of the branch; empty where that is not there.
        files: By path.
        tags: Commit by name, if they were asked for.
    """

    exists: bool = False
    private: bool | None = None
    head: str = ""
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Destination:
    """A place on the Hub that may be written.

    Attributes:
        wish: What was asked for, with the namespace in its ``repo_id``.
        identity: Who asks.
        remote: What stood there.
        card: The text of its README.md; None where there is none.
    """

    wish: Wish
    identity: Identity
    remote: Remote
    card: str | None

    @property
    def url(self) -> str:
        """The page of the branch."""
        kind = "datasets/" if self.wish.repo_type == "dataset" else ""
        branch = "" if self.wish.revision == MAIN else f"/tree/{self.wish.revision}"
        return f"{self.identity.endpoint}/{kind}{self.wish.repo_id}{branch}"


def find(hub: Hub, patience: Patience, wish: Wish, scratch: Path) -> Destination:
    """The destination that ``wish`` names, if its user may write there.

    Args:
        hub: Whom to ask.
        patience: For how long.
        wish: Where to.
        scratch: A folder for the card to be read into.

    Raises:
        HubError: Naming what stands in the way, and the command that helps.
    """
    names.refuse_repo(wish.repo_id)
    names.refuse_branch(wish.revision, "--revision")
    if wish.tag:
        names.refuse_tag(wish.tag, wish.revision)
    identity = _identify(hub, patience)
    whole = _in_namespace(wish, identity)
    _refuse_unwritable(whole.repo_id, identity, hub.login)
    try:
        remote, head = _look_at_base(hub, patience, whole)
        card = _card(hub, patience, whole, remote, head, scratch)
    except HubFault as error:
        raise told(error.fault, whole.repo_id, hub, "Nothing was sent") from error
    refuse_taken_tag(whole, remote, has_changes=False)
    if whole.private and remote.private is False:
        raise HubError("is public already, and --private was asked for", whole.repo_id, "change that in its settings")
    return Destination(whole, identity, remote, card)


def _look_at_base(hub: Hub, patience: Patience, wish: Wish) -> tuple[Remote, str]:
    """The repository as it stands now, and the commit that its files are of.

    A branch that is not there yet will begin with the files of main.
    """
    remote = look(hub, patience, wish)
    if remote.head or not remote.exists or wish.revision == MAIN:
        return remote, remote.head
    main = look(hub, patience, replace(wish, revision=MAIN, tag=""))
    return replace(remote, private=main.private, files=main.files), main.head


def refuse_taken_tag(wish: Wish, remote: Remote, has_changes: bool) -> None:
    """Refuse a tag that stands at another commit than it is to be put on.

    Raises:
        HubError: If it does.
    """
    there = remote.tags.get(wish.tag, "")
    if there and (has_changes or there != remote.head):
        what = f"the tag {wish.tag!r} stands at another commit, {there[:12]}, already"
        raise HubError(f"{what}. Nothing was sent", wish.repo_id, "give another --tag")


def look(hub: Hub, patience: Patience, wish: Wish) -> Remote:
    """The repository as it stands now.

    Raises:
        HubFault: If the Hub does not tell.
    """
    found = waiting.ask(
        hub,
        patience,
        "look",
        repo_id=wish.repo_id,
        repo_type=wish.repo_type,
        revision=wish.revision,
        refs=bool(wish.tag),
    )
    return remote_of(found)


def remote_of(found: Mapping[str, Any]) -> Remote:
    """A repository as ``child.look`` tells of it."""
    files = {path: RemoteFile(**about) for path, about in found["files"].items()}
    return Remote(found["exists"], found["private"], found["head"], files, found["tags"])


def _identify(hub: Hub, patience: Patience) -> Identity:
    if not hub.endpoint.startswith(("http://", "https://")) or "@" in hub.endpoint:
        raise HubError("is no address of a Hub, or holds a password", "HF_ENDPOINT", "give it as https://HOST")
    patience.say(f"asking {hub.endpoint}")
    try:
        found = waiting.insist(
            patience, lambda within_s: hub.call("identity", min(patience.call_s, within_s), {}), _FIRST_ATTEMPTS
        )
    except HubFault as error:
        raise told(error.fault, hub.endpoint, hub, "Nothing was sent") from error
    scopes = {name: tuple(granted) for name, granted in found.pop("scopes").items()}
    return Identity(**found, scopes=scopes)


def _in_namespace(wish: Wish, identity: Identity) -> Wish:
    return wish if "/" in wish.repo_id else replace(wish, repo_id=f"{identity.name}/{wish.repo_id}")


def _refuse_unwritable(repo_id: str, identity: Identity, login: str) -> None:
    """Refuse what the token cannot do, before the work and not after it."""
    namespace = repo_id.partition("/")[0]
    remedy = f"make one with write access at {identity.endpoint}/settings/tokens and {login}"
    token = f"the token {identity.token!r}" if identity.token else "the token"
    if identity.role == "read":
        raise HubError(f"{token} of {identity.name} can only read", repo_id, remedy)
    if namespace != identity.name and namespace not in identity.orgs:
        known = ", ".join((identity.name, *identity.orgs))
        raise HubError(f"{namespace!r} is no namespace of yours", repo_id, f"yours are {known}")
    role = identity.orgs.get(namespace, "")
    if role and role not in _WRITES:
        raise HubError(f"you may only {role} in {namespace!r}", repo_id, "ask for write access there")
    if identity.role == "fineGrained" and not _is_granted(repo_id, namespace, identity.scopes):
        raise HubError(f"{token} of {identity.name} may not write here", repo_id, remedy)


def _is_granted(repo_id: str, namespace: str, scopes: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a fine-grained token may write; where it does not say for what it is, the Hub will tell."""
    return not scopes or any("repo.write" in scopes.get(name, ()) for name in (repo_id, namespace))


def _card(hub: Hub, patience: Patience, wish: Wish, remote: Remote, head: str, scratch: Path) -> str | None:
    if CARD not in remote.files:
        return None
    at = {"repo_id": wish.repo_id, "repo_type": wish.repo_type, "revision": head}
    data = base64.b64decode(waiting.ask(hub, patience, "content", **at, path=CARD, folder=str(scratch)))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        where = f"{CARD} of {wish.repo_id}"
        raise HubError(f"is not UTF-8 text at byte {error.start}", where, "mend it there by hand") from error
