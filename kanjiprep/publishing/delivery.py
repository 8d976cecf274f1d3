"""A parcel brought to its destination: sent, compared with what arrived, tagged, and never lied about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from kanjiprep.errors import HubError, Interrupted
from kanjiprep.publishing import destination as places
from kanjiprep.publishing.destination import Destination, Remote
from kanjiprep.publishing.hub import patience as waiting
from kanjiprep.publishing.hub.courier import Hub, HubFault
from kanjiprep.publishing.hub.fault import Fault
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub.words import told
from kanjiprep.publishing.parcel import Difference, Parcel, difference

Status = Literal["pushed", "unchanged", "dry run"]
_GRACE_S: Final = 20.0
"""For a last look after the deadline, so that the outcome can be told."""
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Delivered:
    """A parcel that stands on the Hub, every file compared, or would.

    Attributes:
        status: ``unchanged`` if it stood there already, ``dry run`` if nothing was sent.
        repo_id: ``NAMESPACE/NAME``.
        url: Its page.
        revision: The branch.
        tag: That stands at the commit; empty for none.
        commit: That holds it; empty for a dry run.
        private: Whether only some may see it.
        created: Whether the repository was made for it, or would be.
        who: Whose token was used.
        sent: Bytes by path of what was not there yet, or not so.
        removed: Paths of an earlier parcel that are gone, or would be.
        in_one_commit: Whether it arrives whole or not at all.
        requests: To the Hub itself, beside those to its storage, that the sending takes if all goes well.
    """

    status: Status
    repo_id: str
    url: str
    revision: str
    tag: str
    commit: str
    private: bool
    created: bool
    who: str
    sent: Mapping[str, int]
    removed: tuple[str, ...]
    in_one_commit: bool
    requests: int


class _Post:
    """One delivery on its way."""

    def __init__(self, hub: Hub, patience: Patience, destination: Destination, parcel: Parcel) -> None:
        self.hub, self.patience, self.parcel = hub, patience, parcel
        self.wish = destination.wish
        self.at = {"repo_id": self.wish.repo_id, "repo_type": self.wish.repo_type}
        self.remote, self.tags = destination.remote, destination.remote.tags
        self.created = False

    def ask(self, call: str, state: str, **arguments: Any) -> Any:
        """The answer to a call that does no harm twice."""
        try:
            return waiting.ask(self.hub, self.patience, call, **self.at, **arguments)
        except HubFault as error:
            raise self.told(error.fault, state) from error

    def look(self, state: str) -> Remote:
        """The repository as it stands now."""
        found = self.ask("look", state, revision=self.wish.revision, refs=False)
        return places.remote_of(found)

    def told(self, fault: Fault, state: str) -> HubError:
        """The error that tells ``fault``, and how things stand now."""
        return told(fault, self.wish.repo_id, self.hub, state)

    def look_once(self) -> Remote | None:
        """The repository as it stands now, without much ado; None if the Hub does not tell."""
        try:
            within_s = max(min(self.patience.left_s(), self.patience.call_s), min(_GRACE_S, self.patience.call_s))
            arguments = {**self.at, "revision": self.wish.revision, "refs": False}
            return places.remote_of(self.hub.call("look", within_s, arguments))
        except HubFault:
            return None

    def state(self, seen: Remote | None) -> str:
        """How things stand after a failure, in words."""
        if seen is None:
            return "Whether anything arrived is not known; the same command looks before it sends"
        made = (
            "An empty repository was made, and so far nothing else"
            if self.created
            else "So far nothing has changed there"
        )
        if seen.head == self.remote.head:
            return made
        if self.parcel.is_atomic:
            return "Somebody else has changed it meanwhile, and nothing of yours arrived"
        return "Some files arrived, and the captions did not yet"


def deliver(
    hub: Hub, patience: Patience, destination: Destination, parcel: Parcel, dry_run: bool = False
) -> Delivered:
    """The parcel as it stands on the Hub, sent if it did not yet, every file compared, and tagged at last.

    Raises:
        HubError: If that fails, telling how things stand on the Hub now.
        Interrupted: If Ctrl-C ends the sending.
    """
    left = difference(parcel, destination.remote.files)
    places.refuse_taken_tag(destination.wish, destination.remote, has_changes=bool(left))
    if dry_run:
        return _delivered(destination, parcel, left, "dry run", "")
    post = _Post(hub, patience.anew(), destination, parcel)
    _make_room(post)
    left = difference(parcel, post.remote.files)
    if left:
        *first, last = parcel.folders
        for folder in first:
            _send(post, str(folder), ())
        _send(post, str(last), left.stale)
    commit = _verify(post) if left else post.remote.head
    _tag(post, commit)
    done = _delivered(destination, parcel, left, "pushed" if left else "unchanged", commit)
    return replace(done, private=bool(post.remote.private))


def _delivered(
    destination: Destination, parcel: Parcel, difference: Difference, status: Status, commit: str
) -> Delivered:
    wish, remote = destination.wish, destination.remote
    return Delivered(
        status=status,
        repo_id=wish.repo_id,
        url=destination.url,
        revision=wish.revision,
        tag=wish.tag,
        commit=commit,
        private=wish.private if remote.private is None else remote.private,
        created=not remote.exists,
        who=destination.identity.name,
        sent={path: parcel.files[path].size for path in difference.missing},
        removed=difference.stale,
        in_one_commit=parcel.is_atomic,
        requests=requests(destination, parcel),
    )


def requests(destination: Destination, parcel: Parcel) -> int:
    """How many requests ``deliver`` makes to the Hub if all goes well, or at least, if in several commits.

    Those to its storage are not counted.
    """
    wish, remote = destination.wish, destination.remote
    before = difference(parcel, remote.files)
    room = 0
    if not remote.exists:
        room = 1 + _LOOK
    if not remote.head and (remote.exists or wish.revision != places.MAIN):
        room += 1 + _LOOK
    commits = sum(1 + -(-count // _BATCH) for count in parcel.counts)
    sent = _ONCE + commits + bool(before.stale) + _LOOK if before else 0
    return room + sent + (_TAG if wish.tag and wish.tag not in remote.tags else 0)


_LOOK: Final = 2
_TAG: Final = 2
_BATCH: Final = 256
_ONCE: Final = 2
"""The card is validated, and leave to store is asked for."""


def _make_room(post: _Post) -> None:
    """Make the repository and its branch where they are missing."""
    before = post.remote.files.get(places.CARD)
    if not post.remote.exists:
        _make(post, "create", lambda seen: seen.exists, private=post.wish.private)
        post.created = True
        post.remote = post.look("An empty repository was made, and so far nothing else")
    if not post.remote.head:
        _make(post, "branch", lambda seen: bool(seen.head), branch=post.wish.revision)
        post.remote = post.look("A branch was made, and so far nothing else")
    if post.wish.private and post.remote.private is False:
        what = "somebody made it public meanwhile, and --private was asked for. Nothing of yours was sent"
        raise HubError(what, post.wish.repo_id, "change that in its settings")
    if post.remote.files.get(places.CARD) != before:
        what = "somebody else wrote its card meanwhile, and nothing of yours was sent"
        raise HubError(what, post.wish.repo_id, "run the same command again")


def _make(post: _Post, call: str, is_made: Callable[[Remote], bool], **arguments: Any) -> None:
    """Have something made; whatever is said of it, it was if it is there."""
    try:
        waiting.ask(post.hub, post.patience, call, **post.at, **arguments)
    except HubFault as error:
        seen = post.look_once()
        if seen is None:
            raise post.told(error.fault, "No file was sent, and whether more was made is not known") from error
        if not is_made(seen):
            raise post.told(error.fault, "Nothing was sent") from error


def _send(post: _Post, folder: str, stale: tuple[str, ...]) -> None:
    """Send a folder; what the Hub says of it is not believed before it was looked at."""
    arguments = {
        **post.at,
        "folder": folder,
        "revision": post.wish.revision,
        "parent": post.remote.head if post.parcel.is_atomic else "",
        "message": post.parcel.message,
        "stale": list(stale),
    }

    def attempt(within_s: float) -> None:
        report = waiting.reporter(post.patience, "send large files (kB)")
        try:
            silence_s = min(post.patience.silence_s, within_s)
            post.hub.call("send", silence_s, arguments, report, in_all_s=within_s)
        except HubFault:
            seen = post.look_once()
            if not (seen is not None and _has_arrived(post, seen)):
                _refuse_moved(post, seen)
                raise

    try:
        waiting.insist(post.patience, attempt)
    except HubFault as error:
        seen = post.look_once()
        if seen is None or not _has_arrived(post, seen):  # a commit may land after we gave up on it
            raise post.told(error.fault, post.state(seen)) from error
    except KeyboardInterrupt as error:
        what = f"interrupted while sending to {post.wish.repo_id}; whether it arrived is not known"
        raise Interrupted(what, remedy="run the same command again: it looks before it sends") from error


def _has_arrived(post: _Post, seen: Remote) -> bool:
    return not difference(post.parcel, seen.files)


def _refuse_moved(post: _Post, seen: Remote | None) -> None:
    if seen is not None and post.parcel.is_atomic and seen.head != post.remote.head:
        what = "somebody else has changed it meanwhile, and nothing of yours arrived"
        raise HubError(what, post.wish.repo_id, "run the same command again")


def _verify(post: _Post) -> str:
    """The head of the branch, if every file stands there as it was sent."""
    seen = post.look("It was sent, and could not be compared; the same command does that first")
    left = difference(post.parcel, seen.files)
    if left:
        wrong = [*left.missing, *left.stale]
        shown = ", ".join(wrong[:_SHOWN]) + (" ..." if len(wrong) > _SHOWN else "")
        raise HubError(
            f"holds other files at {seen.head[:12]} than were sent: {shown}",
            post.wish.repo_id,
            "do not use that commit; run the same command again",
        )
    return seen.head


def _tag(post: _Post, commit: str) -> None:
    """Put the tag on the commit; the Hub may say that it did, or did not, and be wrong."""
    tag = post.wish.tag
    if not tag or post.tags.get(tag) == commit:
        return
    done, fault = f"All files stand there as {commit[:12]}", None
    try:
        waiting.ask(post.hub, post.patience, "tag", **post.at, tag=tag, commit=commit)
    except HubFault as error:
        fault = error.fault
    there = _tags_now(post, f"{done}, and whether the tag does is not known").get(tag, "")
    if there == commit:
        return
    if there:
        what = f"the tag {tag!r} was put on another commit, {there[:12]}, meanwhile. {done}"
        raise HubError(what, post.wish.repo_id, "give another --tag")
    raise post.told(fault or Fault("no hub", "it took the tag and has none"), f"{done}, and only the tag is missing")


def _tags_now(post: _Post, state: str) -> Mapping[str, str]:
    found: Mapping[str, str] = post.ask("tags", state)
    return found
