from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.dataset import build as building
from kanjiprep.dataset import folder
from kanjiprep.dataset.build import BuildRequest, Built, Place
from kanjiprep.dataset.folder import Certificate
from kanjiprep.dataset.raster import Style
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import DatasetError, InputError, UsageError
from kanjiprep.progress import silent
from tests import sources

Make = Callable[..., BuildRequest]


@pytest.fixture
def build(place: Place) -> Callable[[BuildRequest], Built]:
    return lambda request: building.build(request, place, silent)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_what_the_contract_says(build: Callable[[BuildRequest], Built], request_of: Make) -> None:
    built = build(request_of())
    names = sorted(path.name for path in built.folder.iterdir())
    assert names == [
        "README.md", "SHA256SUMS", "build.json", "characters.jsonl", "metadata.csv", "skipped.csv",
        "一_kanji_04e00.png", "二_kanji_04e8c.png", "休_kanji_04f11.png",
    ]  # fmt: skip
    assert (built.folder / "metadata.csv").read_text("utf-8") == (
        "file_name,text\n"
        '休_kanji_04f11.png,"Image of a Japanese kanji character 休 in plain font. '
        'The character means: rest, day off."\n'
        '一_kanji_04e00.png,"Image of a Japanese kanji character 一 in plain font. The character means: one."\n'
        '二_kanji_04e8c.png,"Image of a Japanese kanji character 二 in plain font. The character means: two, pair."\n'
    )
    assert (built.folder / "characters.jsonl").read_text("utf-8").splitlines()[0] == (
        '{"file_name": "休_kanji_04f11.png", "character": "休", "codepoint": "04f11", '
        '"meanings": ["rest", "day off"], "stroke_count": 6}'
    )
    assert list(folder.listed(built.folder)) == [
        "metadata.csv", "skipped.csv", "characters.jsonl",
        "休_kanji_04f11.png", "一_kanji_04e00.png", "二_kanji_04e8c.png",
    ]  # fmt: skip
    with Image.open(built.folder / "休_kanji_04f11.png") as picture:
        assert (picture.size, picture.mode) == ((64, 64), "L")


def test_the_certificate_tells_what_was_done(build: Callable[[BuildRequest], Built], request_of: Make) -> None:
    built = build(request_of())
    read = json.loads((built.folder / "build.json").read_bytes())
    assert read["sources"]["kanjidic"]["version"] == "2026-001"
    assert read["counts"] == {
        "samples": 3, "strokes": 9, "skipped": 4, "variants": 1,
        "picture_bytes": sum(path.stat().st_size for path in built.folder.glob("*.png")),
    }  # fmt: skip
    assert read["skipped"] == {"no_meaning": 1, "no_strokes": 2, "not_in_kanjidic": 1}
    assert read["digest"] == built.certificate.digest
    assert str(built.folder.parent) not in (built.folder / "build.json").read_text("utf-8")


def test_the_same_sources_give_the_same_bytes_anywhere(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    plain = sources.write_kanjidic(tmp_path / "other.xml")
    zipped = sources.write_zip(tmp_path / "k.zip")
    first, second = build(request_of("a")), build(request_of("b", kanjidic=str(plain), kanjivg=str(zipped)))
    assert tree(first.folder) == tree(second.folder)


def test_the_single_file_gives_the_same_pictures(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    single = sources.write_kanjidic(tmp_path / "kanjivg.xml.gz", sources.single_xml())
    first, second = build(request_of("a")), build(request_of("b", kanjivg=str(single)))
    assert second.certificate.digest == first.certificate.digest
    assert second.certificate.counts is not None
    assert second.certificate.counts.variants == 0


def test_a_second_build_only_verifies(build: Callable[[BuildRequest], Built], request_of: Make) -> None:
    first = build(request_of())
    before = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    second = build(request_of())
    assert (first.was_there, second.was_there) == (False, True)
    assert second.certificate == first.certificate
    assert {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def as_before_characters(built: Built) -> Certificate:
    """Make of a built folder what a version before characters.jsonl would have built."""
    (built.folder / "characters.jsonl").unlink()
    listed = folder.listed(built.folder)
    del listed["characters.jsonl"]
    (built.folder / "SHA256SUMS").write_bytes(folder.sums(listed))
    certificate = replace(built.certificate, digest=folder.sha256_of(built.folder / "SHA256SUMS"))
    (built.folder / "build.json").write_bytes(folder.certificate_json(certificate))
    return certificate


def test_a_folder_from_before_characters_jsonl_is_only_verified(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    certificate = as_before_characters(build(request_of()))
    before = tree(request_of().out)
    again = build(request_of())
    assert (again.was_there, again.certificate) == (True, certificate)
    assert tree(again.folder) == before
    assert build(request_of(replace=True)).was_there, "nothing is to be replaced"


def test_a_folder_from_before_characters_jsonl_is_replaced_when_it_was_changed(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    as_before_characters(build(request_of()))
    (request_of().out / "skipped.csv").write_text("mine")
    with pytest.raises(DatasetError, match="1 file is not what was built: skipped.csv was changed"):
        build(request_of())
    assert "characters.jsonl" in tree(build(request_of(replace=True)).folder)


def test_characters_that_an_earlier_version_did_not_write_are_somebodys(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    as_before_characters(build(request_of()))
    (request_of().out / "characters.jsonl").write_text("mine")
    for request in (request_of(), request_of(replace=True)):
        with pytest.raises(DatasetError, match="did not write: characters.jsonl"):
            build(request)


def test_a_broken_off_build_goes_on(
    place: Place, build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    whole = build(request_of("whole"))

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "draw" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        building.build(request_of(), place, interrupt)
    assert not (tmp_path / "dataset").exists()
    resumed = build(request_of())
    assert resumed.resumed == 3
    assert tree(resumed.folder) == tree(whole.folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"style": Style(32)}, "other style"),
        ({"caption": "meaning"}, "other caption"),
        ({"selection": Selection(limit=1)}, "other selection"),
    ],
)
def test_another_build_is_replaced_only_when_asked(
    build: Callable[[BuildRequest], Built], request_of: Make, change: dict[str, object], says: str
) -> None:
    old = build(request_of())
    with pytest.raises(DatasetError, match=rf"holds another build \({says}\); give --replace"):
        build(request_of(**change))
    new = build(request_of(replace=True, **change))
    assert new.certificate.digest != old.certificate.digest
    assert not new.folder.with_name(".dataset.replaced").exists()


def test_other_sources_are_another_build(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    build(request_of())
    other = sources.write_kanjidic(tmp_path / "other.xml", sources.kanjidic(*sources.ENTRIES[:2]))
    with pytest.raises(DatasetError, match="holds another build .other sources."):
        build(request_of(kanjidic=str(other)))


def test_an_edited_template_of_the_same_name_is_another_build(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    template = tmp_path / "mine.j2"
    template.write_text("{{ literal }}")
    build(request_of(caption=str(template)))
    template.write_text("{{ literal }}!")
    with pytest.raises(DatasetError, match="holds another build .other caption."):
        build(request_of(caption=str(template)))


def test_a_changed_dataset_is_not_overwritten_in_silence(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    built = build(request_of())
    (built.folder / "metadata.csv").write_text("mine")
    with pytest.raises(DatasetError, match="1 file is not what was built: metadata.csv was changed; give --replace"):
        build(request_of())
    assert tree(build(request_of(replace=True)).folder)["metadata.csv"].startswith(b"file_name,text\n")


def test_files_of_others_are_never_touched(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    (tmp_path / "dataset").mkdir()
    for name in "abcd":
        (tmp_path / "dataset" / name).touch()
    with pytest.raises(
        DatasetError, match=r"holds files that kanjiprep did not write: a, b, c \.\.\.; move them away"
    ):
        build(request_of(replace=True))
    built = build(request_of("ours"))
    (built.folder / "notes.txt").touch()
    for request in (request_of("ours"), request_of("ours", replace=True, style=Style(32))):
        with pytest.raises(DatasetError, match="did not write: notes.txt"):
            build(request)
    (built.folder / "SHA256SUMS").unlink()
    with pytest.raises(DatasetError, match="SHA256SUMS cannot be read"):
        build(request_of("ours"))
    with pytest.raises(DatasetError, match="did not write: characters.jsonl, metadata.csv"):
        build(request_of("ours", replace=True))


def test_a_file_in_the_way_is_refused(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    (tmp_path / "dataset").touch()
    with pytest.raises(DatasetError, match="is a file, not a folder"):
        build(request_of())


def test_an_empty_folder_is_used(build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    assert not build(request_of()).was_there


def test_a_selection_without_result_is_refused(build: Callable[[BuildRequest], Built], request_of: Make) -> None:
    with pytest.raises(InputError, match="no kanji meets the selection"):
        build(request_of(selection=Selection(grades=(9,))))
    with pytest.raises(InputError, match="--literals: 1 of 1 characters are not in KANJIDIC2: 犬"):
        build(request_of(selection=Selection(literals="犬")))


def test_a_style_that_cannot_be_drawn_is_refused_first(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    with pytest.raises(UsageError, match="--size-px"):
        build(request_of(style=Style(1)))


def test_a_broken_stroke_leaves_nothing(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path
) -> None:
    path = tmp_path / "kanji" / "04e00.svg"
    path.write_bytes(path.read_bytes().replace(b"M11,54", b"M11,,54"))
    with pytest.raises(InputError, match=r"04e00\.svg: stroke 1 of 一 is broken: not a number after M"):
        build(request_of())
    assert [entry.name for entry in tmp_path.iterdir() if "dataset" in entry.name] == []


def test_verifying_compares_an_even_sample_with_cairosvg(
    build: Callable[[BuildRequest], Built], request_of: Make
) -> None:
    built = build(request_of())
    heard: list[tuple[str, int, int | None]] = []
    assert building.verify(built, 2, 1, lambda *state: heard.append(state)) == 2
    assert heard[-1] == ("compare with CairoSVG", 2, 2)
    assert building.verify(built, 100, 1, silent) == 3


def test_another_spelling_of_the_same_is_the_same(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.j2").write_text("\ufeff{{ literal }}", "utf-8")
    first = build(request_of(caption=str(tmp_path / "mine.j2")))
    assert "\ufeff" not in (first.folder / "metadata.csv").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    assert build(request_of(caption="./mine.j2", kanjivg="kanji")).was_there


def test_a_missing_card_is_told(build: Callable[[BuildRequest], Built], request_of: Make) -> None:
    (build(request_of()).folder / "README.md").unlink()
    with pytest.raises(DatasetError, match="README.md is missing"):
        build(request_of())


def test_what_another_build_finished_meanwhile_is_not_replaced(
    place: Place, build: Callable[[BuildRequest], Built], request_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = building._job
    for meanwhile, outcome in ((request_of(), "same"), (request_of("other", style=Style(32)), "other")):

        def slow(*arguments: object, meanwhile: BuildRequest = meanwhile) -> object:
            monkeypatch.setattr(building, "_job", honest)
            build(meanwhile)
            return honest(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(building, "_job", slow)
        if outcome == "same":
            assert build(request_of()).was_there
            continue
        with pytest.raises(DatasetError, match="holds another build .other style."):
            build(request_of("other"))
        assert [path.name for path in meanwhile.out.parent.iterdir() if path.name.startswith(".")] == []


def test_folders_that_cannot_be_renamed_over_are_refused_before_the_work(
    build: Callable[[BuildRequest], Built], request_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dataset").mkdir()
    for name, changed, says in (
        ("os.access", lambda *_: False, "must not be written; change its permissions"),
        (
            "pathlib.Path.is_mount",
            lambda _: True,
            "is a mount point, which cannot be renamed over; give a folder inside",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, changed)
            with pytest.raises(DatasetError, match=says):
                build(request_of())
    monkeypatch.chdir(tmp_path / "dataset")
    with pytest.raises(DatasetError, match="is the folder you stand in; give a folder inside it"):
        build(request_of())
