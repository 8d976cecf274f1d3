from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training.remote.ssh.address import Address, parse

GOOD = {
    "ssh://ubuntu@203.0.113.7": Address("ubuntu", "203.0.113.7"),
    "ssh://ubuntu@203.0.113.7:2222": Address("ubuntu", "203.0.113.7", 2222),
    "ssh://gpu": Address("", "gpu"),
    "ssh://gpu_box.example.org:65535": Address("", "gpu_box.example.org", 65535),
    "ssh://me@[2001:db8::1]": Address("me", "2001:db8::1"),
    "ssh://me@[2001:db8::1]:22": Address("me", "2001:db8::1", 22),
    "ssh://me@[fe80::1%eth0]:22": Address("me", "fe80::1%eth0", 22),
    "ssh://first.last-2@host": Address("first.last-2", "host"),
}

BAD = {
    "": "does not begin with ssh://",
    "gpu": "does not begin with ssh://",
    "ubuntu@gpu": "does not begin with ssh://",
    "SSH://gpu": "does not begin with ssh://",
    " ssh://gpu": "does not begin with ssh://",
    "http://gpu": "does not begin with ssh://",
    "ssh:/gpu": "does not begin with ssh://",
    "ssh://": "names no host",
    "ssh://me@": "names no host",
    "ssh://:22": "names no host",
    "ssh://@gpu": "no user name",
    "ssh://-oProxyCommand=x@gpu": "no user name",
    "ssh://a b@gpu": "no user name",
    "ssh://a/b@gpu": "no user name",
    "ssh://$(id)@gpu": "no user name",
    "ssh://-gpu": "no host name",
    "ssh://me@-gpu": "no host name",
    "ssh://gpu\n": "no host name",
    "ssh://gpu box": "no host name",
    "ssh://gpu/home": "no host name",
    "ssh://gpu?x=1": "no host name",
    "ssh://漢字": "no host name",
    "ssh://gpu;id": "no host name",
    "ssh://gpu:": "no port",
    "ssh://gpu:0": "no port",
    "ssh://gpu:65536": "no port",
    "ssh://gpu:٢٢": "no port",
    "ssh://gpu:-1": "no port",
    "ssh://gpu:22x": "no port",
    "ssh://gpu:999999999999999": "no port",
    "ssh://2001:db8::1": "no brackets",
    "ssh://[gpu]": "no IPv6 address",
    "ssh://[203.0.113.7]": "no IPv6 address",
    "ssh://[::1": "no host name",
    "ssh://[1:2:3]": "no IPv6 address",
    "ssh://[]": "no IPv6 address",
}

WITH_PASSWORD = (
    "ssh://me:hunter2@gpu",
    "ssh://me:hunter2@gpu:99999",
    "ssh://me:@gpu",
    "ssh://me:hun@ter2@gpu",
    "ssh://me:hun/ter2@gpu",
    "me:hunter2@gpu",
    "http://me:hunter2@gpu",
    "ssh://:hunter2@gpu",
)


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_read_and_written_back(text: str) -> None:
    assert parse(text) == GOOD[text]
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=BAD[text]) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "ssh://user@" in caught.value.remedy


@pytest.mark.parametrize("text", WITH_PASSWORD)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="must not hold a password") as caught:
        parse(text)
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_a_slash_in_the_end_is_no_matter() -> None:
    assert parse("ssh://me@gpu:22/") == Address("me", "gpu", 22)


def test_a_key_is_kept_and_not_shown() -> None:
    address = parse("ssh://me@gpu", Path("/keys/mine"))
    assert address.key == Path("/keys/mine")
    assert str(address) == "ssh://me@gpu"
