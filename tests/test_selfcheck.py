from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.cli import talk
from kanjiprep.dataset import build as building
from kanjiprep.dataset import kanjivg, raw, workers
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import DatasetError, InputError
from kanjiprep.evaluation import features, reference
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.proof import material, painted, selfcheck
from kanjiprep.evaluation.proof.corruptions import KINDS, SEVERITIES
from kanjiprep.evaluation.proof.painted import INVENTED, REDRAWN, REDRAWN_PICTURES, SOUND, Measured
from kanjiprep.evaluation.proof.selfcheck import Figures, SelfCheck
from kanjiprep.progress import silent
from tests import sources

FIRST, COUNT = 0x5000, 72
SMALL = Style(64, 5.0, 6)


def curve(rng: np.random.Generator, left: float, right: float) -> str:
    """A stroke that is level or upright, a little bent."""
    begin = rng.uniform((left, 12), (right - 20, 70))
    end = begin + (np.array([20, 2]) if rng.random() < 0.5 else np.array([2, 27]))
    points = [begin, begin * 0.7 + end * 0.3 + 1, begin * 0.3 + end * 0.7 + 1, end]
    return "M" + "C".join(
        [f"{points[0][0]:.1f},{points[0][1]:.1f}", " ".join(f"{x:.1f},{y:.1f}" for x, y in points[1:])]
    )


def group(number: int) -> sources.Group:
    """A character of two halves, each of three to five strokes."""
    rng = np.random.default_rng(number)
    return sources.Group(
        chr(FIRST + number),
        (),
        tuple(
            sources.Group(
                chr(0x6000 + number + 500 * place),
                tuple(curve(rng, left, left + 46) for _ in range(rng.integers(3, 6))),
                attributes=f' kvg:position="{position}"',
            )
            for place, (position, left) in enumerate((("left", 8), ("right", 56)))
        ),
    )


FILES = {f"{FIRST + number:05x}.svg": sources.svg(FIRST + number, group(number)) for number in range(COUNT)}
DRAWINGS = kanjivg.parse(kanjivg.KanjiVG("kanji", "", raw.GlyphFiles("kanji", FILES, 0)))


def built(folder: Path, style: Style = SMALL, count: int = COUNT) -> Path:
    """A dataset of these characters in ``folder``, with its sources beside it."""
    entries = [sources.Entry(chr(FIRST + number)) for number in range(count)]
    dictionary = sources.write_kanjidic(folder / "kanjidic2.xml.gz", sources.kanjidic(*entries))
    strokes = sources.write_kanjivg(folder / "kanji", FILES)
    request = BuildRequest(folder / "dataset", kanjidic=str(dictionary), kanjivg=str(strokes), style=style, workers=1)
    return building.build(request, Place({}, folder / "cache"), silent).folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("checked"))


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """A quarter of the pictures, for the sake of time, and all in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "available", lambda: 1)
        patch.setattr(painted, "SOUND_PICTURES", REDRAWN_PICTURES)
        patch.setattr(painted, "MOST_INVENTED", 20)
        yield


@pytest.fixture(scope="module")
def measured(dataset: Path) -> Measured:
    return painted.measure(material.read(dataset, DRAWINGS), 6, silent)


@pytest.fixture(scope="module")
def found(measured: Measured) -> SelfCheck:
    return selfcheck.of(measured)


def ways(dataset: Path | None) -> Ways:
    return Ways(dataset, "off", False, Path("bands"), Path("judges"))


def test_the_halves_have_no_character_in_common_and_all_that_are_drawn(dataset: Path) -> None:
    made_of = material.read(dataset, DRAWINGS)
    first, second = ({one.glyph.literal for one in half} for half in (made_of.first, made_of.second))
    assert not first & second
    assert first | second == {chr(FIRST + number) for number in range(COUNT)}
    assert {material.half_of(literal) for literal in first} == {0}
    assert {material.half_of(literal) for literal in second} == {1}
    assert made_of.training.names == tuple(one.path.name for one in made_of.first)


def test_the_style_is_that_of_the_birth_certificate(dataset: Path, tmp_path: Path) -> None:
    assert material.read(dataset, DRAWINGS).style == SMALL
    other = built(tmp_path)
    (other / "build.json").unlink()
    without = material.read(other, DRAWINGS)
    assert (without.style, without.digest) == (Style(), "")


def test_a_style_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    path = built(tmp_path) / "build.json"
    path.write_text(path.read_text("utf-8").replace('"size_px": 64', '"size_px": 9'), "utf-8")
    with pytest.raises(DatasetError, match=r"build\.json: tells of pictures that cannot be drawn: --size-px is 9;"):
        material.read(path.parent, DRAWINGS)


def test_characters_that_only_a_whole_renderer_draws_are_left_out(dataset: Path) -> None:
    odd: dict[int, GlyphStrokes] = dict(DRAWINGS)
    odd[FIRST] = replace(odd[FIRST], svg=b"<svg/>")
    made_of = material.read(dataset, odd)
    assert len(made_of.first) + len(made_of.second) == COUNT - 1


def test_a_picture_of_a_character_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    folder = built(tmp_path)
    again = "again.png"
    (folder / again).write_bytes((folder / f"{chr(FIRST)}_kanji_{FIRST:05x}.png").read_bytes())
    with (folder / "metadata.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{again},A kanji.\n")
    with (folder / "characters.jsonl").open("a", encoding="utf-8") as stream:
        row = {"file_name": again, "character": chr(FIRST), "codepoint": f"{FIRST:05x}", "meanings": []}
        stream.write(json.dumps({**row, "stroke_count": None}) + "\n")
    made_of = material.read(folder, DRAWINGS)
    assert len(made_of.first) + len(made_of.second) == COUNT


@pytest.mark.parametrize(
    ("drawings", "says"),
    [
        (
            {},
            "has 0 characters that KanjiVG draws, 0 and 0 in its halves; the check of the judge needs 60, and 15 in",
        ),
        (dict(list(DRAWINGS.items())[:59]), "has 59 characters that KanjiVG draws, "),
    ],
)
def test_a_dataset_with_few_characters_is_refused(
    dataset: Path, drawings: dict[int, GlyphStrokes], says: str
) -> None:
    with pytest.raises(DatasetError, match=says):
        material.read(dataset, drawings)


def test_a_dataset_whose_characters_fall_into_one_half_is_refused(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "half_of", lambda _: 0)
    with pytest.raises(DatasetError, match="has 72 characters that KanjiVG draws, 72 and 0 in its halves"):
        material.read(dataset, DRAWINGS)


def test_photographs_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64), "green").save(tmp_path / "lawn.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\nlawn.png,A lawn.\n", "utf-8")
    strokes = sources.write_kanjivg(tmp_path / "kanji", FILES)
    with pytest.raises(DatasetError, match="has 0 characters that KanjiVG draws") as caught:
        selfcheck.run(ways(tmp_path), {"KANJIPREP_KANJIVG": str(strokes)}, silent)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_without_kanjivg_there_is_no_check(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="KANJIPREP_KANJIVG names a file that does not exist"):
        selfcheck.run(ways(dataset), {"KANJIPREP_KANJIVG": str(tmp_path / "nowhere")}, silent)


def test_the_dataset_is_that_of_the_folder_if_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    strokes = sources.write_kanjivg(tmp_path / "kanji", FILES)
    with pytest.raises(DatasetError, match=r"dataset/metadata\.csv"):
        selfcheck.run(ways(None), {"KANJIPREP_KANJIVG": str(strokes)}, silent)


@pytest.mark.slow
def test_every_kind_and_severity_is_measured_and_progress_told(dataset: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    made_of = material.read(dataset, DRAWINGS)
    groups = painted.measure(made_of, 2, lambda *told: heard.append(told)).groups
    assert {name for name in groups if name[1]} == {(kind, severity) for kind in KINDS for severity in SEVERITIES}
    assert {len(values) for name, values in groups.items() if name[1]} == {2}
    assert len(groups[SOUND, 0.0]) == painted.SOUND_PICTURES
    assert heard[-1][1] == heard[-1][2] == sum(map(len, groups.values()))
    assert {stage for stage, _, _ in heard} == {"measure the training pictures", "measure sound and damaged pictures"}


@pytest.mark.slow
def test_the_same_dataset_gives_the_same_figures(measured: Measured, dataset: Path) -> None:
    again = painted.measure(material.read(dataset, DRAWINGS), 6, silent)
    assert again.groups.keys() == measured.groups.keys()
    assert all(np.array_equal(values, again.groups[name]) for name, values in measured.groups.items())
    assert asdict(selfcheck.of(again)) == asdict(selfcheck.of(measured))


@pytest.mark.parametrize("style", [Style(64, 5.0, 6), Style(256, 3.0), Style(512, 7.0, 90), Style(300, 2.0, 10)])
def test_characters_drawn_anew_measure_what_the_datasets_own_pictures_do(style: Style, tmp_path: Path) -> None:
    made_of = material.read(built(tmp_path, style), DRAWINGS)
    jobs = [job for job in painted._jobs(made_of, 1) if job.name[0] in (SOUND, REDRAWN) and job.number < 5]
    ours, theirs = np.split(painted._measured(style, jobs), 2)
    assert ours == pytest.approx(theirs, abs=0.02, rel=0.02)


@pytest.mark.slow
def test_drawn_as_published_they_would_not(dataset: Path) -> None:
    made_of = replace(material.read(dataset, DRAWINGS), style=Style())
    check = selfcheck.of(painted.measure(made_of, 2, silent))
    assert check.redrawn.score > 0.9
    assert any(phrase.startswith("characters drawn anew ") for phrase in check.worse)


def test_exploded_pictures_are_told_from_sound_ones(found: SelfCheck) -> None:
    for kind in found.kinds:
        if kind.exploded and kind.floor is not None:
            assert kind.reached > 0.9
            assert next(one.flagged for one in kind.figures if one.severity == 0.5) > 0.8
    assert found.false_alarms <= 0.05
    assert found.redrawn.pictures == REDRAWN_PICTURES
    assert found.redrawn.score == pytest.approx(0.5, abs=0.02)


def test_more_damage_has_a_worse_score(found: SelfCheck) -> None:
    ranks = {kind.name: kind.rank for kind in found.kinds}
    assert ranks["noise"] > 0.8
    assert ranks["scale"] > 0.8


def test_the_bands_are_of_one_half_and_inventions_of_the_other(found: SelfCheck, measured: Measured) -> None:
    made_of = measured.material
    own = reference.measure(made_of.training, silent)
    assert np.array_equal(measured.bands.middle, own.middle)
    assert found.bands_of == own.pictures
    jobs = [job for job in painted._jobs(made_of, 1) if job.name == (INVENTED, 0.0)]
    literals = {letter for job in jobs if isinstance(job.of, GlyphStrokes) for letter in job.of.where}
    first, second = ({one.glyph.literal for one in half} for half in (made_of.first, made_of.second))
    assert literals & second
    assert not literals & first
    assert found.invented.pictures == len(measured.groups[INVENTED, 0.0]) > 0


def test_the_check_is_a_document(found: SelfCheck, capsys: pytest.CaptureFixture[str]) -> None:
    talk.print_json(found)
    table = json.loads(capsys.readouterr().out)
    assert len(table["kinds"]) == len(KINDS)
    assert table["kinds"][0]["figures"][1]["severity"] == 0.5


def doctored(measured: Measured, **groups: tuple[str, float]) -> SelfCheck:
    """The check, had each named kind's pictures at all severities been those of another group."""
    kinds = {name: values for name, values in measured.groups.items() if name[0] not in groups}
    for kind, other in groups.items():
        severities = (0.0,) if kind in (SOUND, REDRAWN, INVENTED) else SEVERITIES
        kinds |= {(kind, severity): measured.groups[other] for severity in severities}
    return selfcheck.of(Measured(measured.material, measured.bands, kinds))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("noise", r"noise 0\.5\d\d \(at least 0\.98\)"),
        ("missing", r"missing 0\.5\d\d \(at least 0\.85\)"),
    ],
)
def test_a_judge_that_does_not_see_damage_is_refused(measured: Measured, kind: str, says: str) -> None:
    check = doctored(measured, **{kind: (REDRAWN, 0.0)})
    row = next(one for one in check.kinds if one.name == kind)
    assert row.is_worse
    assert row.rank == 0
    with pytest.raises(
        DatasetError, match=rf"the judge is worse on this dataset than documented: .*{says}"
    ) as caught:
        selfcheck.refuse_worse(check)
    assert caught.value.exit_code == 4
    assert any(line.startswith(kind) and line.endswith("worse") for line in selfcheck.lines(check))


def test_a_kind_without_a_documented_figure_is_never_worse(measured: Measured) -> None:
    check = doctored(measured, blur=(REDRAWN, 0.0))
    assert not any(phrase.startswith("blur") for phrase in check.worse)


def test_a_judge_that_punishes_inventions_is_refused(measured: Measured) -> None:
    damage = np.concatenate([measured.groups["noise", severity] for severity in SEVERITIES] * 4)
    check = selfcheck.of(replace(measured, groups={**measured.groups, (INVENTED, 0.0): damage}))
    assert "inventions 1.000 (0.4 to 0.6)" in check.worse


def test_few_inventions_are_told_and_not_held_against_the_judge(measured: Measured) -> None:
    check = doctored(measured, invented=("noise", 1.0))
    assert check.invented == Figures(0.0, 6, 1.0, 1.0, check.invented.shape, 1.0)
    assert not any("inventions" in phrase for phrase in check.worse)
    none = replace(measured, groups={name: one for name, one in measured.groups.items() if name[0] != INVENTED})
    assert selfcheck.of(none).invented == Figures(0.0, 0, 0.5, 0.5, 0.5, 0.0)
    assert (
        next(line for line in selfcheck.lines(selfcheck.of(none)) if line.startswith("invented")).split()[1] == "none"
    )


def test_false_alarms_are_refused(measured: Measured) -> None:
    sound = measured.groups[SOUND, 0.0].copy()
    sound[:3, features.NAMES.index("colour")] += 1000
    sound[:3, features.NAMES.index("grain")] += 1
    check = selfcheck.of(replace(measured, groups={**measured.groups, (SOUND, 0.0): sound}))
    assert check.false_alarms >= 3 / 100
    assert check.worse[-1].startswith(f"false alarms {check.false_alarms:.1%} (at most 2%)")


def test_a_judge_that_is_as_good_as_documented_passes(found: SelfCheck) -> None:
    good = replace(found, worse=())
    selfcheck.refuse_worse(good)
    *_, verdict = selfcheck.lines(good)
    assert verdict == "verdict    the judge is as good on this dataset as documented"
    bad = replace(found, worse=("noise 0.900 (at least 0.98)", "false alarms 3.0% (at most 2%)"))
    *_, verdict = selfcheck.lines(bad)
    assert verdict == "verdict    worse than documented: noise 0.900 (at least 0.98); false alarms 3.0% (at most 2%)"


def test_the_table_has_a_row_for_every_kind_and_fits_a_terminal(found: SelfCheck) -> None:
    told = list(selfcheck.lines(found))
    assert [line.split()[0] for line in told[4 : 4 + len(KINDS)]] == list(KINDS)
    assert max(map(len, told[3:-1])) <= 80


@pytest.mark.slow
def test_the_command_prints_the_table_and_fails_with_the_dataset(
    dataset: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KANJIPREP_KANJIVG", str(dataset.parent / "kanji"))
    monkeypatch.setattr(selfcheck, "FALSE_ALARMS", -0.01)
    monkeypatch.setattr(selfcheck.run, "__defaults__", (2,))
    code, out, err = run("score", "--selfcheck", "--dataset", dataset)
    assert code == 4
    assert "verdict    worse than documented: " in out
    assert err.strip().splitlines()[-1].startswith(f"error: {dataset}: the judge is worse on this dataset than")
