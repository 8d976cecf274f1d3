import pytest

from kanjiprep.dataset import safe_xml
from kanjiprep.errors import InputError

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE r [
<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<r>&b;</r>"""
EXTERNAL = b"""<?xml version="1.0"?>
<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<r>&x;</r>"""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "f: the file is empty"),
        (b" \n ", "f: the file is empty"),
        (BOMB, "f:3: declares an XML entity"),
        (EXTERNAL, "f:2: declares an XML entity"),
        (BOMB.decode().encode("utf-16"), "not UTF-8 text"),
        (BOMB.decode().encode("utf-16-le"), "not UTF-8 text"),
        (b'<?xml version="1.0" encoding="IBM037"?><r/>', "encoding IBM037 is not read"),
        (b"<r>\n<a></b>\n</r>", "f:2: not well-formed XML"),
        (b"<r>", "f:1: not well-formed XML"),
        (b"\xff<r/>", "not well-formed XML"),
        (b"<a>" * 70 + b"</a>" * 70, "elements nest deeper than 64"),
        (b"<a>" * 100_000, "not well-formed XML"),
    ],
)
def test_dangerous_and_broken_documents_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        safe_xml.parse(data, "f")
    assert "\n" not in str(caught.value)


def test_an_external_dtd_is_not_fetched() -> None:
    data = b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r a="1"/>'
    assert safe_xml.parse(data, "f").get("a") == "1"


def test_the_internal_dtds_defaults_apply_as_kanjivg_needs() -> None:
    data = b'<!DOCTYPE r [<!ATTLIST r xmlns:k CDATA #FIXED "http://k">]><r k:a="1"/>'
    assert safe_xml.parse(data, "f").get("{http://k}a") == "1"


def test_iterating_gives_direct_children_and_forgets_them() -> None:
    data = b"<r><x>1</x><y/><x>2<x>inner</x></x></r>"
    assert [element.text for element in safe_xml.iterate(data, "f", "r", ("x",))] == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>\n<x/></html>", "f:1: the root element is <html>, not <r>"),
        (b"<r><x>", "f:1: not well-formed XML"),
        (BOMB, "declares an XML entity"),
    ],
)
def test_iterating_refuses_as_parsing_does(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(safe_xml.iterate(data, "f", "r", ("x",)))
