from pathlib import Path

import pytest

from kanjiprep.dataset.aside import Aside
from kanjiprep.dataset.folder import sha256_of, sums
from kanjiprep.errors import DatasetError


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def put(aside: Aside, name: str, note: bool = True) -> None:
    (aside.path / name).write_bytes(name.encode())
    if note:
        aside.note({name: sha256_of(aside.path / name)})


def test_the_folder_appears_whole_with_what_is_kept_alone(target: Path) -> None:
    aside = Aside(target)
    with aside.opened(b"recipe"):
        put(aside, "a.png")
        put(aside, "stray.png")
        assert not target.exists()
        aside.finish(frozenset({"a.png"}))
    assert [entry.name for entry in target.iterdir()] == ["a.png"]
    assert not aside.path.exists()


def test_an_interrupt_keeps_what_was_noted_and_whole(target: Path) -> None:
    aside = Aside(target)
    with pytest.raises(KeyboardInterrupt), aside.opened(b"recipe"):
        put(aside, "a.png")
        put(aside, "damaged.png")
        put(aside, "unnoted.png", note=False)
        raise KeyboardInterrupt
    (aside.path / "damaged.png").write_bytes(b"x")
    with (aside.path / ".journal").open("a") as journal:
        journal.write("torn li")
    with aside.opened(b"recipe"):
        assert list(aside.journal()) == ["a.png"]
        put(aside, "b.png")
        assert list(aside.journal()) == ["a.png", "b.png"]


def test_another_recipe_sweeps_out_what_was_left(target: Path) -> None:
    aside = Aside(target)
    with pytest.raises(KeyboardInterrupt), aside.opened(b"recipe"):
        put(aside, "a.png")
        raise KeyboardInterrupt
    with aside.opened(b"other"):
        assert aside.journal() == {}
        assert not (aside.path / "a.png").exists()


def test_a_failure_leaves_nothing(target: Path) -> None:
    aside = Aside(target)
    with pytest.raises(ValueError, match="x"), aside.opened(b"recipe"):
        put(aside, "a.png")
        raise ValueError("x")
    assert list(target.parent.iterdir()) == []


def test_the_systems_failure_is_a_dataset_error(target: Path) -> None:
    aside = Aside(target)
    with (
        pytest.raises(DatasetError, match="cannot be written: no space left on device; free the space"),
        aside.opened(b""),
    ):
        raise OSError(28, "No space left on device")
    assert not aside.path.exists()


def test_a_parent_that_is_a_file_is_a_dataset_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DatasetError, match="cannot be written: not a directory"),
        Aside(tmp_path / "file" / "d").opened(b""),
    ):
        pass


def test_two_builds_do_not_meet_and_the_second_takes_nothing_away(target: Path) -> None:
    aside = Aside(target)
    with aside.opened(b"recipe"):
        put(aside, "a.png")
        with pytest.raises(DatasetError, match="another build is at work here"), Aside(target).opened(b"recipe"):
            pass
        assert (aside.path / "a.png").exists()


def old_dataset(target: Path) -> None:
    target.mkdir()
    (target / "old.png").touch()
    (target / "SHA256SUMS").write_bytes(sums({"old.png": sha256_of(target / "old.png")}))


def test_files_put_there_meanwhile_are_not_lost(target: Path) -> None:
    old_dataset(target)
    aside = Aside(target)
    with pytest.raises(DatasetError, match="somebody put files there meanwhile: thesis.txt"), aside.opened(b"recipe"):
        put(aside, "new.png")
        (target / "thesis.txt").touch()
        aside.finish(frozenset({"new.png"}))
    assert sorted(entry.name for entry in target.iterdir()) == ["SHA256SUMS", "old.png", "thesis.txt"]
    assert [entry.name for entry in target.parent.iterdir()] == ["dataset"]


def test_a_folder_of_others_in_the_way_is_left_alone(target: Path) -> None:
    aside = Aside(target)
    aside.path.mkdir()
    (aside.path / "notes.txt").touch()
    with pytest.raises(DatasetError, match="is in the way and not ours"), aside.opened(b"recipe"):
        pass
    assert (aside.path / "notes.txt").exists()


def test_a_kill_while_finishing_does_not_stand_in_the_way(target: Path) -> None:
    aside = Aside(target)
    aside.path.mkdir()
    for name in ("build.json", "a.png"):
        (aside.path / name).touch()
    with aside.opened(b"recipe"):
        assert aside.journal() == {}
        assert not (aside.path / "build.json").exists()


def test_what_is_not_wanted_after_all_is_dropped(target: Path) -> None:
    aside = Aside(target)
    with aside.opened(b"recipe"):
        aside.drop()
    assert list(target.parent.iterdir()) == []


def test_an_old_folder_is_replaced(target: Path) -> None:
    old_dataset(target)
    aside = Aside(target)
    with aside.opened(b"recipe"):
        put(aside, "new.png")
        aside.finish(frozenset({"new.png"}))
    assert [entry.name for entry in target.parent.iterdir()] == ["dataset"]
    assert [entry.name for entry in target.iterdir()] == ["new.png"]


def test_a_kill_between_the_two_renames_loses_nothing(target: Path) -> None:
    replaced = target.with_name(".dataset.replaced")
    replaced.mkdir()
    (replaced / "old.png").touch()
    Aside(target).recover()
    assert [path.relative_to(target.parent) for path in target.parent.rglob("*")] == [
        Path("dataset"),
        Path("dataset/old.png"),
    ]


def test_a_kill_after_the_second_rename_leaves_no_litter(target: Path) -> None:
    for path in (target, target.with_name(".dataset.replaced")):
        path.mkdir()
        (path / "a.png").touch()
    aside = Aside(target)
    with pytest.raises(KeyboardInterrupt), aside.opened(b"recipe"):
        put(aside, "b.png")
        raise KeyboardInterrupt
    aside.recover()
    assert sorted(path.name for path in target.parent.iterdir()) == [".dataset.building", "dataset"]


def test_nothing_is_recovered_under_another_builds_hands(target: Path) -> None:
    with Aside(target).opened(b"recipe"):
        target.with_name(".dataset.replaced").mkdir()
        with pytest.raises(DatasetError, match="another build is at work here"):
            Aside(target).recover()
