from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, gpus, pictures, plan, plan_text, presets, provenance, schedule
from kanjiprep.training import curve as curves
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.plan import Plan
from kanjiprep.training.prices import LivePrice, NoPrices, Prices

PUBLISHED = pictures.nominal(6413, 1024)
MARKET = Market(gpus.load())
USERS = "sd35-large-lora-lr1.05e-3"


def planned(name: str, *settings: str, dataset: Dataset = PUBLISHED, market: Market = MARKET, gpu: str = "") -> Plan:
    return plan.plan(
        presets.load(name, settings), dataset, Places(Path("/runs/x"), Path("/tiny")), market, gpu or None
    )


def told(made: Plan) -> str:
    return "\n".join(plan_text.lines(made, curves.rates(made.rates.scheduler)))


def test_the_users_own_settings_are_told_in_plain_words_with_what_they_cost() -> None:
    made = planned(USERS)
    text = told(made)
    assert "32,070: 1,069 an epoch, 30.0 epochs, as the trainer counts" in text
    assert "32,065 by the textbook formula: 5 fewer" in text
    assert "36,000 as set by hand: 3,930 more" in text
    assert "back at its peak 4 times: at step 7,200, 14,400, 21,600, 28,800" in text
    assert "81% of its steps are above 0.0001" in text
    rules = [finding.rule for finding in made.findings]
    assert {"cosine-returns", "clipping-by-value", "rate-above-documented", "rank-very-large"} <= set(rules)
    for rule in rules:
        assert f": {rule}: " in text


def test_a_difference_of_steps_has_its_hours_and_dollars() -> None:
    made = planned(USERS)
    textbook, by_hand = made.differences
    assert (textbook.more, by_hand.more) == (-5, 3930)
    assert made.costs.step_seconds is not None
    assert made.costs.machine is not None
    assert by_hand.hours is not None
    assert by_hand.usd is not None
    assert made.costs.machine.usd_per_hour is not None
    assert by_hand.hours.value == pytest.approx(3930 * made.costs.step_seconds.value / 3600)
    assert by_hand.usd.value == pytest.approx(by_hand.hours.value * made.costs.machine.usd_per_hour.value)
    assert by_hand.hours.how == "estimated"


def test_the_recommended_run_has_nothing_to_warn_of() -> None:
    made = planned("sd35-large-lora")
    assert [finding for finding in made.findings if finding.severity != "note"] == []
    assert made.rates.returns == ()
    assert made.costs.machine is not None
    assert made.costs.machine.verdict == "fits"


def test_every_shipped_preset_can_be_planned_and_would_start() -> None:
    for name in presets.names():
        made = planned(name)
        assert plan.refusing(made.findings) == ()
        assert "[1]" in told(made)


def test_another_gpu_changes_hours_money_and_verdict() -> None:
    small, large = (planned(USERS, gpu=name).costs.machine for name in ("a10-24gb", "h100-80gb-sxm"))
    assert small is not None
    assert large is not None
    assert (small.verdict, large.verdict) == ("does not fit", "fits")
    assert small.hours is not None
    assert large.hours is not None
    assert small.hours.value > large.hours.value
    assert small.gpu not in [one.gpu for one in planned(USERS, gpu="a10-24gb").costs.others]


def test_a_gpu_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no GPU is called 'h100-80gb-smx', did you mean 'h100-80gb-sxm'"):
        planned(USERS, gpu="h100-80gb-smx")


def test_a_run_without_end_is_refused_and_a_long_one_on_few_pictures_is_not() -> None:
    with pytest.raises(UsageError, match="training: the run would have 3,210,000 steps; plan for at most 1,000,000"):
        planned("sd35-large-lora", "training.epochs=6000")
    assert planned("tiny-cpu", "training.epochs=2000", dataset=pictures.nominal(20, 256)).steps.total == 8000


def test_a_cpu_has_neither_hours_nor_money() -> None:
    made = planned("tiny-cpu")
    assert (made.costs.machine, made.costs.duration, made.costs.step_seconds, made.costs.others) == (
        None,
        None,
        None,
        (),
    )
    assert told(made).count("not estimated for a CPU") == 2
    assert "on each GPU" not in told(made)


def test_gpus_without_bf16_are_told_but_not_timed() -> None:
    old = next(one for one in planned(USERS).costs.others if one.gpu == "v100-16gb")
    assert (old.verdict, old.hours, old.usd) == ("no bf16", None, None)
    assert "v100" not in told(planned(USERS))


def test_a_live_price_wins_over_the_tables() -> None:
    live = Prices("2026-11-25T12:00:00+00:00", {"gpu_1x_a100_sxm4": LivePrice("gpu_1x_a100_sxm4", 2.5, ())})
    made = planned(USERS, market=Market(gpus.load(), live))
    assert made.costs.machine is not None
    assert made.costs.machine.usd_per_hour is not None
    assert made.costs.machine.usd_per_hour.value == 2.5
    assert "Lambda's API, read 2026-11-25" in told(made)
    assert "to rent now: nowhere" in told(made)
    assert all(one.usd is None for one in made.costs.others), "Lambda no longer has them"


def test_why_there_is_no_live_price_is_told() -> None:
    made = planned(USERS, market=Market(gpus.load(), NoPrices("Lambda does not know this key")))
    assert "no live price: Lambda does not know this key" in told(made)
    assert made.costs.machine is not None
    assert made.costs.machine.usd is not None


def test_a_cosine_with_a_warmup_is_told_as_what_it_becomes() -> None:
    settings = ("schedule.shape=cosine", "schedule.warmup_steps=500")
    assert "SimpleTuner has no cosine with a warmup: this falls straight" in told(
        planned("sd35-large-lora", *settings)
    )
    assert "no cosine with a warmup" not in told(planned("sd35-large-lora", settings[0], "schedule.warmup_steps=0"))


def test_prodigys_factor_is_no_rate_above_the_stable_one() -> None:
    made = planned("sd35-large-lora", "optimizer.name=prodigy", "optimizer.learning_rate=1")
    assert made.rates.above_stable is None


def test_why_the_hours_have_a_band_is_told() -> None:
    assert "this card was not measured, so 0.7 to 1.4 of it" in told(planned(USERS))


def test_a_machine_that_nobody_rents_out_has_no_price() -> None:
    made = planned(USERS, "machine.gpus=3")
    assert "not known: no price of a machine with 3 x a100-40gb-sxm" in told(made)


def test_the_cheapest_machine_is_taken() -> None:
    usd = [one.usd_per_hour for one in gpus.instances_with(gpus.load(), "h100-80gb-sxm", 8)]
    made = planned("sd35-large-full")
    assert made.costs.machine is not None
    assert made.costs.machine.usd_per_hour is not None
    assert made.costs.machine.usd_per_hour.value == min(price for price in usd if price is not None)


def test_buckets_that_fill_no_step_are_told_and_refused() -> None:
    wide = tuple(Picture(f"{index}.png", "x", 2048, 1024) for index in range(3))
    made = planned("sd35-large-lora", dataset=Dataset(Path("d"), (*PUBLISHED.pictures, *wide), "abc"))
    assert "the trainer will refuse bucket 2.09: its 3 pictures cannot fill one step" in told(made)
    assert "in 2 buckets, digest abc" in told(made)
    assert [finding.rule for finding in plan.refusing(made.findings)] == ["bucket-too-small"]


def test_a_plan_names_the_revision_of_the_hub_that_it_is_for() -> None:
    dataset = Dataset(Path("d"), PUBLISHED.pictures, "abc", "me/kanji@c0ffee")
    assert "on the Hub: me/kanji@c0ffee" in told(planned("sd35-large-lora", dataset=dataset))
    assert "on the Hub" not in told(planned("sd35-large-lora"))


def test_checkpoints_that_outgrow_the_disk_are_told_where_it_is_known() -> None:
    places = Places(Path("/runs/x"), Path("/tiny"))
    small = plan.plan(presets.load(USERS), PUBLISHED, places, MARKET, place=plan.Place(10**9))
    rules = {finding.rule for finding in small.findings}
    assert "disk-too-small" in rules - {finding.rule for finding in planned(USERS).findings}


def test_resuming_with_another_rate_is_told() -> None:
    earlier = plan.Place(
        None, (600, 1200), {"learning_rate": 9.5e-4, "lr_scheduler": "cosine", "lr_warmup_steps": 3600}
    )
    again = plan.plan(presets.load(USERS), PUBLISHED, Places(Path("/runs/x"), Path("/t")), MARKET, place=earlier)
    assert "resume-keeps-old-rate" in {finding.rule for finding in again.findings}
    assert "resume-keeps-old-rate" not in {finding.rule for finding in planned(USERS).findings}


def test_the_disk_of_the_rented_machine_counts() -> None:
    made = planned(USERS, "lora.rank=2000")
    assert made.costs.machine is not None
    assert made.costs.machine.disk_gib == 512
    assert "disk-too-small" in {finding.rule for finding in made.findings}


def test_rates_are_told_at_some_two_hundred_steps_with_both_ends() -> None:
    points = planned(USERS).rates.points
    assert len(points) == 201
    assert (points[0], points[-1][0]) == ((0, 1.05e-3), 32_070)


def test_checkpoints_and_pictures_are_counted_from_the_rendered_files() -> None:
    preset = presets.load(USERS)
    steps = schedule.count(preset.spec, {"1.0": 6413})
    rendered = configs.render(preset.spec, steps, preset.prompts, Places(Path("r"), Path("t")), preset.templates)
    made = plan.pictures_of(rendered, steps)
    assert (made.checkpoints, made.kept, made.rounds, made.prompts) == (53, 53, 53, 1)


def test_sources_are_numbered_once() -> None:
    sources = plan_text.Sources()
    figure = planned(USERS).costs.memory.base
    other = replace(figure, source="elsewhere", how="measured")
    assert [sources.cite(one) for one in (figure, other, figure)] == ["computed [1]", "measured [2]", "computed [1]"]
    assert list(sources.lines()) == [f"[1] {figure.source}", "[2] elsewhere"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (58.64, "58.6"),
        (1234.5, "1,230"),
        (0.00912, "0.00912"),
        (1.5e-9, "1.5e-09"),
        (9.999, "10.00"),
        (36_000, "36,000"),
    ],
)
def test_numbers_have_three_digits_that_count(number: float, text: str) -> None:
    assert provenance.short(number) == text
