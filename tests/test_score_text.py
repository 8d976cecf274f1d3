from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.evaluation import score_text
from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import JudgedRun, Parts
from tests import judged_runs

HEADER = ["step", "score", "95", "%", "style", "shape", "pictures"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> JudgedRun:
    return judged_runs.healthy(tmp_path_factory.mktemp("runs") / "mine", checkpoints=20, prompts=2)


def lines(run: JudgedRun) -> list[str]:
    return list(score_text.lines(run))


def row(run: JudgedRun, step: int) -> str:
    (found,) = [line for line in lines(run) if line.lstrip().startswith(f"{step:,} ")]
    return found


def test_every_checkpoint_has_a_row_with_its_interval(healthy: JudgedRun) -> None:
    text = lines(healthy)
    assert text[0].split() == HEADER
    assert len([line for line in text if line[:10].strip().replace(",", "").isdecimal()]) == 20
    (place,) = [one for one in healthy.verdict.ranked if one.step == 400]
    words = row(healthy, 400).split()
    assert words[1:5] == [f"{place.smooth:.1f}", f"{place.low:.1f}", "to", f"{place.high:.1f}"]
    assert words[5] == "#" * round(place.smooth / 5)
    assert words[-1] == "2"


def test_what_was_chosen_tied_or_dropped_is_marked(healthy: JudgedRun) -> None:
    verdict = healthy.verdict
    assert verdict.step is not None
    assert row(healthy, verdict.step).endswith("  chosen")
    (other,) = [one for one in verdict.tied if one != verdict.step][:1]
    assert row(healthy, other).endswith("  may be as good")
    dropped = row(healthy, 3_600)
    assert dropped.endswith("  dropped for its pictures, gradient")
    assert " to " not in dropped


def test_a_step_without_a_checkpoint_says_so(healthy: JudgedRun) -> None:
    first = replace(healthy.steps[0], has_weights=False, path="")
    assert row(replace(healthy, steps=(first, *healthy.steps[1:])), 400).endswith("  no checkpoint")


def test_a_checkpoint_that_nothing_is_known_of_has_no_row(healthy: JudgedRun) -> None:
    bare = replace(healthy.steps[0], pictures=0, style=None, shape=None, score=None)
    text = lines(replace(healthy, steps=(bare, *healthy.steps[1:])))
    assert not any(line.lstrip().startswith("400 ") for line in text)


def test_a_flagged_checkpoint_without_pictures_has_a_row_without_numbers(healthy: JudgedRun) -> None:
    flags = (Flag("weights", "NaN in all of it"), Flag("weights", "and more"))
    bare = replace(healthy.steps[0], pictures=0, style=None, shape=None, score=None, flags=flags)
    verdict = replace(healthy.verdict, ranked=healthy.verdict.ranked[1:])
    run = replace(healthy, steps=(bare, *healthy.steps[1:]), verdict=verdict)
    assert row(run, 400).split() == ["400", "0", "dropped", "for", "its", "weights"]
    assert "weights    step 400: NaN in all of it" in lines(run)
    assert "weights    step 400: and more" in lines(run)


def test_explosions_are_told_once_with_their_rate_and_not_for_every_checkpoint(healthy: JudgedRun) -> None:
    text = lines(healthy)
    told = [line for line in text if line.startswith("explosion")]
    assert told == [f"explosion  {phase.text}" for phase in healthy.phases]
    assert any(line.startswith("pictures   step 3,200: 2 of 2 pictures exploded") for line in text)
    assert not any(line.startswith("gradient") for line in text)


def test_the_base_model_is_told_beside_the_run(healthy: JudgedRun) -> None:
    (line,) = [line for line in lines(healthy) if line.startswith("base model")]
    assert line.endswith(" of 100, 2 pictures")
    bare = replace(healthy, pictures=tuple(one for one in healthy.pictures if not one.cell.is_base))
    assert not any(line.startswith("base model") for line in lines(bare))


def test_what_the_trained_judge_saw_is_told_of_the_chosen_checkpoint_alone(healthy: JudgedRun) -> None:
    assert not any(line.startswith("seen in") for line in lines(healthy))
    text = [line for line in lines(judged_runs.with_parts(healthy)) if line.startswith("seen in")]
    assert text == [
        f"seen in    {name}: 山 of 山丘; novelty 0.34; nearest 岳 0.81, 岩 0.72"
        for name in ("mountains", "language-model")
    ]
    bare = Parts((), (), (("岳", 0.8),), 1.0)
    wanting = Parts(("山",), (), (), 1.0)
    others = [replace(one, parts=bare if one.cell.prompt == "mountains" else wanting) for one in healthy.pictures]
    text = [line for line in lines(replace(healthy, pictures=tuple(others))) if line.startswith("seen in")]
    assert text[0] == "seen in    mountains: novelty 1.00; nearest 岳 0.80"
    assert text[1].startswith("seen in    language-model: none of 山; novelty 1.00")


def test_long_lines_are_cut_but_no_verdict_is(healthy: JudgedRun) -> None:
    long = Flag("pictures", "x" * 300)
    first = replace(healthy.steps[0], flags=(long,))
    run = replace(healthy, steps=(first, *healthy.steps[1:]), verdict=replace(healthy.verdict, why="because " * 40))
    text = lines(run)
    (cut,) = [line for line in text if "xxx" in line]
    assert len(cut) == 118
    assert cut.endswith("...")
    assert text[-1] == f"verdict    {'because ' * 40}"


@pytest.mark.parametrize(("status", "said"), [("chosen", ""), ("cannot tell", "cannot tell: "), ("none", "none: ")])
def test_the_verdict_begins_with_what_it_is(healthy: JudgedRun, status: str, said: str) -> None:
    verdict = replace(healthy.verdict, status=status, why="so it is")  # type: ignore[arg-type]
    assert score_text.verdict(replace(healthy, verdict=verdict)) == f"{said}so it is"


def test_runs_with_nothing_to_choose_are_told(tmp_path: Path) -> None:
    assert lines(judged_runs.empty(tmp_path / "empty")) == ["verdict    none: the run has no checkpoint"]
    dropped = lines(judged_runs.all_dropped(tmp_path / "dropped"))
    assert dropped[-1] == "verdict    none: none of 6 checkpoints is sound"
    assert sum("dropped for its pictures" in line for line in dropped) == 6
    level = lines(judged_runs.cannot_tell(tmp_path / "level", checkpoints=5, prompts=1))
    assert level[-1].startswith("verdict    cannot tell: the scores of the sound checkpoints do not differ")
    assert not any(line.endswith("chosen") for line in level)
