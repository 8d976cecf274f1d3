import jinja2
import pytest
from jinja2.exceptions import SecurityError

from kanjiprep.resources import environment, html_environment, shipped


def test_the_shipped_folders_are_there() -> None:
    assert (shipped("templates") / "captions" / "published.j2").is_file()
    assert shipped("simpletuner_configs").is_dir()


def test_templates_are_closed() -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ missing }}").render()
    with pytest.raises(SecurityError):
        environment().from_string("{{ ''.__class__.__mro__ }}").render()
    assert environment().loader is None
    assert not environment().globals


@pytest.mark.parametrize("source", ["{{ x.encode }}", "{{ y | items }}"])
def test_what_prints_as_a_memory_address_is_refused(source: str) -> None:
    with pytest.raises(TypeError, match="is not a text; call it or join it"):
        environment().from_string(source).render(x="亜", y={"a": 1})


def test_json_in_templates_keeps_kanji_readable() -> None:
    assert environment().from_string("{{ x | tojson }}").render(x="亜") == '"亜"'


def test_templates_of_html_are_closed_and_escape() -> None:
    closed = html_environment()
    assert closed.from_string("{{ x }}").render(x="<b>亜&") == "&lt;b&gt;亜&amp;"
    assert environment().from_string("{{ x }}").render(x="<b>亜&") == "<b>亜&"
    with pytest.raises(SecurityError):
        closed.from_string("{{ ''.__class__.__mro__ }}").render()
    with pytest.raises(TypeError, match="is not a text"):
        closed.from_string("{{ x.encode }}").render(x="亜")
    assert closed.loader is None
    assert not closed.globals
