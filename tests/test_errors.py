import pickle

from kanjiprep.errors import (
    DatasetError,
    InputError,
    Interrupted,
    KanjiprepError,
    RemoteError,
    TrainerError,
    UsageError,
    os_reason,
)


def test_an_error_is_one_line_of_place_matter_and_remedy() -> None:
    assert str(InputError("it is\nbroken", "a.xml:3", "mend it")) == "a.xml:3: it is broken; mend it"
    assert str(KanjiprepError("it is broken")) == "it is broken"


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed() -> None:
    assert str(InputError("named \x1b[31m\x00\x9b", "亜\u3000a")) == r"亜 a: named \x1b[31m\x00\x9b"
    assert str(InputError("a\u202eb", "c")) == r"c: a\u202eb"


def test_every_kind_has_its_documented_exit_code() -> None:
    kinds = (KanjiprepError, UsageError, InputError, DatasetError, TrainerError, RemoteError, Interrupted)
    codes = {kind: kind("x").exit_code for kind in kinds}
    assert codes == {
        KanjiprepError: 1,
        UsageError: 2,
        InputError: 3,
        DatasetError: 4,
        TrainerError: 6,
        RemoteError: 7,
        Interrupted: 130,
    }


def test_an_error_comes_whole_out_of_a_worker() -> None:
    there_and_back = pickle.loads(pickle.dumps(InputError("what", "where", "remedy")))  # noqa: S301
    assert str(there_and_back) == "where: what; remedy"


def test_the_systems_reason_is_in_its_own_words() -> None:
    assert os_reason(OSError(28, "No space left on device", "/x")) == "no space left on device"
    assert os_reason(OSError("odd")) == "odd"
