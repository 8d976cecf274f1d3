from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training import rules
from kanjiprep.training.rules import RULES, Context, Finding, Subject, rounds
from tests.rule_cases import CASES, CONFIG, GOOD, PICTURES, TEXTS, but, data, known, sd15, summed_up


def found(subject: Subject, rule: str) -> list[Finding]:
    return [finding for finding in rules.judge(subject) if finding.rule == rule]


def test_every_rule_has_a_bad_and_a_good_case() -> None:
    assert list(CASES) == [rule.id for rule in RULES]


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_fires_on_its_bad_case_and_says_where_and_what(rule: str) -> None:
    case = CASES[rule]
    hits = found(case.bad, rule)
    assert hits
    assert hits[0].key == case.key
    assert case.says in hits[0].what


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_is_silent_on_its_good_case(rule: str) -> None:
    assert found(CASES[rule].good, rule) == []


def test_a_good_config_gives_no_finding_at_all() -> None:
    assert rules.judge(GOOD) == ()


def test_a_good_config_needs_neither_datasets_nor_context() -> None:
    assert rules.judge(Subject(CONFIG)) == ()


def test_leading_dashes_of_keys_do_not_matter() -> None:
    dashed = {f"--{key}": value for key, value in CONFIG.items()}
    assert rules.judge(replace(GOOD, config=dashed)) == ()
    assert found(Subject({**dashed, "--lr_scheduler": "sine"}), "sine-never-rests")


def test_errors_come_before_warnings_before_notes_and_rules_keep_their_order() -> None:
    subject = but(
        "learning_rate", "lora_dropout", lr_end=0, repeats=1, report_to="tensorboard", lora_rank=512, lora_alpha=512
    )
    findings = rules.judge(subject)
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert [finding.rule for finding in findings] == [
        "ignored-key",
        "tensorboard-crashes",
        "no-learning-rate",
        "rank-very-large",
        "lora-dropout-by-default",
    ]


def test_ids_are_unique_and_in_kebab_case() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_text_is_one_line_of_prose(rule: rules.Rule) -> None:
    assert rule.severity in ("error", "warning", "note")
    assert not rule.title.endswith(".")
    assert rule.title[0].isupper() or rule.title.startswith("cosine_with_warmup")
    for text in (rule.why, rule.fix):
        assert text.endswith((".", "..."))
        assert "\n" not in text
    assert rule.source
    for finding in found(CASES[rule.id].bad, rule.id):
        assert finding.what.endswith(".")
        assert "\n" not in finding.what


ODD: list[Any] = [None, "", " ", "x", "nan", 0, -1, 1.5, True, False, [], {}, [1, 2], {"a": 1}, 10**30]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_odd_values_never_break_a_rule(value: object) -> None:
    bare = Context(bucket_sizes={"1.0": 6}, output_checkpoints=(3,), previous={})
    for key in {*CONFIG, "minimum_image_size", "validation_steps", "init_lora_step", "num_processes", "repeats"}:
        rules.judge(but(**{key: value}))
        rules.judge(replace(but(**{key: value}), context=bare))
    for key in {*PICTURES, "dataset_type", "maximum_image_size", "crop_aspect", "train_batch_size"}:
        rules.judge(data(**{key: value}))


def test_nothing_at_all_is_judged_too() -> None:
    findings = rules.judge(Subject({}, ({},)))
    assert {finding.key for finding in findings if finding.rule == "missing-key"} == {
        "data_backend_config", "model_family", "model_type", "optimizer", "output_dir",
    }  # fmt: skip


def test_a_cosine_of_an_unknown_length_is_told_from_when_it_climbs() -> None:
    subject = replace(but(lr_scheduler="cosine", lr_warmup_steps=2400, max_train_steps=0), context=Context())
    (hit,) = found(subject, "cosine-returns")
    assert hit.what == "Past step 2,400 the learning rate climbs back to 0.0001."


def test_a_cosine_that_only_begins_to_climb_is_told_what_is_left() -> None:
    (hit,) = found(but(lr_scheduler="cosine", lr_warmup_steps=20000), "cosine-returns")
    assert (
        hit.what
        == "The learning rate is down at 1e-06 at step 20,000 and climbs again for the 12,070 steps that are left."
    )


def test_a_cosine_without_warmup_has_a_half_period_of_1000_scheduler_steps() -> None:
    cosine = but(lr_scheduler="cosine", lr_warmup_steps=0)
    assert "at step 1,000 and back at 0.0001 16 times" in found(cosine, "cosine-returns")[0].what
    assert "at step 250 and back" in found(known(cosine, gpus=4), "cosine-returns")[0].what


def test_a_cosine_that_comes_back_at_the_very_end_comes_back_once() -> None:
    (hit,) = found(but(lr_scheduler="cosine", lr_warmup_steps=16035), "cosine-returns")
    assert "once in 32,070 steps: at step 32,070." in hit.what


def test_a_schedule_free_optimizer_silences_the_rules_of_schedules() -> None:
    subject = but(optimizer="adamw_schedulefree", lr_scheduler="cosine", lr_warmup_steps=2)
    assert [finding.rule for finding in rules.judge(subject)] == ["schedule-unused"]


def test_restarts_without_warmup_do_not_even_start() -> None:
    subject = but(lr_scheduler="cosine_with_restarts", lr_warmup_steps=0)
    assert [finding.rule for finding in rules.judge(subject)] == ["schedule-needs-warmup"]


def test_old_names_are_read_as_the_new_ones() -> None:
    subject = but("checkpoint_step_interval", checkpointing_steps=40000)
    assert found(subject, "no-checkpoint")
    limited = but("checkpoints_total_limit", save_total_limit=30)
    assert not found(limited, "checkpoints-deleted-by-default")


def test_an_option_that_is_written_as_a_text_counts() -> None:
    assert found(but(disable_benchmark="true"), "benchmark-pasted-in") == []
    assert found(but(gradient_checkpointing="no"), "no-gradient-checkpointing")


@pytest.mark.parametrize("value", [True, False, "768.0", "many"])
def test_what_int_would_not_take_is_no_whole_number(value: object) -> None:
    assert found(but(lora_rank=value), "not-a-number")


def test_a_word_is_no_number_but_a_switch_is_none_either() -> None:
    assert found(but(lora_alpha="x"), "not-a-number")
    assert found(but(lora_dropout=True), "not-a-number")


def test_of_a_list_of_one_nothing_is_lost_except_of_skip_layers() -> None:
    assert found(but(validation_prompt=["mountains"]), "list-collapses") == []
    assert found(but(validation_guidance_skip_layers=[7]), "list-collapses")


@pytest.mark.parametrize(
    ("old", "new"), [("ignore_final_epochs", "strict_epoch_limit"), ("vae_cache_preprocess", "vae_cache_ondemand")]
)
def test_turned_names_are_told_to_be_turned(old: str, new: str) -> None:
    (hit,) = found(but(**{old: True}), "old-name")
    assert hit.what == f"{old} is now {new}, with the opposite meaning."


def test_a_missing_seed_and_a_random_one_are_told_apart() -> None:
    assert found(but("seed"), "seed-not-fixed")[0].what == "There is no seed."
    assert found(but(seed=-1), "seed-not-fixed")[0].what == "Seed -1 stands for a random one."


def test_stable_diffusion_1_without_flavour_is_dreamshaper() -> None:
    subject = but("model_flavour", model_family="sd1x")
    assert "Lykon/dreamshaper-8" in found(subject, "family-by-default")[0].what
    assert found(sd15(), "family-by-default") == []


def test_large_is_also_known_by_its_path() -> None:
    path = {"pretrained_model_name_or_path": "/models/stable-diffusion-3.5-large"}
    assert found(but("model_flavour", gradient_checkpointing=False, **path), "no-gradient-checkpointing")


def test_an_alpha_of_nothing_is_no_division_by_it() -> None:
    assert "at a scale of 0" in found(but(lora_alpha=0), "alpha-unlike-rank")[0].what
    assert found(but(lora_alpha=32, lora_format="comfyui"), "alpha-unlike-rank") == []


def test_a_limit_beside_an_optimizer_that_is_never_clipped_has_no_effect() -> None:
    (hit,) = found(but(optimizer="prodigy"), "no-clipping")
    assert hit.what == "max_grad_norm has no effect with prodigy."
    assert found(but("max_grad_norm", optimizer="prodigy"), "no-clipping") == []


def test_datasets_without_id_are_counted() -> None:
    (hit,) = found(data("id"), "dataset-id")
    assert (hit.key, hit.what) == ("id", "1 of 2 datasets have no id.")


def test_a_kind_of_dataset_that_does_not_exist_is_named() -> None:
    (hit,) = found(data(dataset_type="images"), "dataset-type")
    assert (hit.key, "'images'" in hit.what) == ("kanji-1024.dataset_type", True)


def test_disabled_datasets_are_not_judged() -> None:
    odd = {**PICTURES, "id": "off", "disabled": True, "resolution_type": "px", "repeats": -3}
    assert rules.judge(replace(GOOD, backends=(PICTURES, odd, TEXTS))) == ()


def test_a_dataset_of_the_hub_reads_its_own_captions_only() -> None:
    hub = data("caption_strategy", "metadata_backend", "parquet", type="huggingface", dataset_name="me/kanji")
    assert rules.judge(hub) == ()
    textfile = replace(hub, backends=({**hub.backends[0], "caption_strategy": "textfile"}, TEXTS))
    assert found(textfile, "captions-do-not-fit")
    assert found(data(caption_strategy="huggingface", metadata_backend=""), "captions-do-not-fit")


def test_short_buckets_are_only_told_where_it_is_clear_whose_they_are() -> None:
    short = {"1.0": 6410, "0.75": 3}
    two = replace(GOOD, backends=(PICTURES, {**PICTURES, "id": "more", "cache_dir_vae": "/more"}, TEXTS))
    assert found(known(bucket_sizes=short), "bucket-too-small")
    assert found(known(two, bucket_sizes=short), "bucket-too-small") == []
    assert found(known(data(repeats=1), bucket_sizes=short), "bucket-too-small") == []
    assert found(known(but(allow_dataset_oversubscription=True), bucket_sizes=short), "bucket-too-small") == []


def test_a_bucket_that_is_not_pruned_is_refused() -> None:
    kept = known(data(minimum_image_size=512), bucket_sizes={"1.0": 6410, "0.75": 3})
    kept = replace(kept, config={**kept.config, "disable_bucket_pruning": True})
    assert found(kept, "bucket-too-small")
    assert found(kept, "bucket-dropped") == []


def test_a_datasets_own_batch_size_counts() -> None:
    assert found(known(data(train_batch_size=2), bucket_sizes={"1.0": 3}), "bucket-too-small") == []


def test_cropping_to_other_shapes_cuts_squares_too() -> None:
    (hit,) = found(data(crop=True, crop_aspect="closest", crop_aspect_buckets=[0.75]), "crop-cuts")
    assert hit.what == "All 6,413 pictures are cut to other shapes."
    assert found(data(crop=True, crop_aspect="closest"), "crop-choice")[0].key == "kanji-1024.crop_aspect_buckets"
    assert found(data(crop=True, crop_aspect="round"), "crop-choice")[0].key == "kanji-1024.crop_aspect"


def test_an_edge_of_one_pixel_is_meant_as_a_megapixel() -> None:
    (hit,) = found(data(resolution_type="pixel", resolution=1.0), "resolution-unit")
    assert hit.what == "resolution 1 with pixel means 1 pixels."


def test_a_largest_size_of_config_json_is_not_converted() -> None:
    subject = but(maximum_image_size=2048, target_downsample_size=1024)
    assert found(subject, "maximum-size-unit")[0].what == "It means 2,048 megapixels."
    assert found(but(maximum_image_size=2048), "maximum-without-target")[0].key == "maximum_image_size"


@pytest.mark.parametrize(("word", "meant"), [("none", "a folder 'none'"), ("false", "the latest checkpoint")])
def test_words_for_no_are_told_what_they_do(word: str, meant: str) -> None:
    assert meant in found(but(resume_from_checkpoint=word), "resume-is-not-a-switch")[0].what


def test_a_cosine_takes_its_whole_period_from_the_checkpoint() -> None:
    cosine = but(lr_scheduler="cosine", lr_warmup_steps=32070)
    old = {**cosine.config, "learning_rate": 0.00105, "lr_warmup_steps": 3600}
    keys = [hit.key for hit in found(known(cosine, output_checkpoints=(9,), previous=old), "resume-keeps-old-rate")]
    assert keys == ["learning_rate", "lr_warmup_steps"]


def test_nothing_is_restored_where_nothing_is_resumed() -> None:
    old = {**CONFIG, "learning_rate": 0.00105}
    anew = known(but(resume_from_checkpoint=""), output_checkpoints=(32070,), previous=old)
    assert rules.judge(anew) == ()


def test_validation_that_never_comes_is_not_judged() -> None:
    subject = but("validation_prompt", "validation_guidance", validation_step_interval=999_999)
    assert [finding.rule for finding in rules.judge(subject)] == []


def test_models_that_follow_pictures_bring_their_own_validation() -> None:
    edit = data(conditioning_data="other")
    edit = replace(edit, config={**edit.config, "validation_prompt": None})
    assert found(edit, "nothing-to-look-at") == []


def test_megapixels_for_validation_are_left_alone() -> None:
    assert found(but(validation_resolution="1.0"), "validation-size-differs") == []


def test_sizes_are_not_compared_with_what_is_no_picture() -> None:
    assert (
        found(
            replace(data(dataset_type="video"), config={**CONFIG, "validation_resolution": 512}),
            "validation-size-differs",
        )
        == []
    )


def painted_one_by_one(batches: int, accumulation: int, total_steps: int, interval: int) -> dict[int, int]:
    """What the trainer's loop does, batch by batch."""
    made = dict.fromkeys(range(interval, total_steps + 1, interval), 0)
    count = global_step = summed = taken = 0
    while global_step < total_steps:
        count += 1
        if taken == batches:
            taken = 0
            continue
        taken, summed = taken + 1, summed + 1
        global_step += summed % accumulation == 0
        if global_step > 1 and global_step % interval == 0 and count % accumulation == 0:
            made[global_step] += 1
    return made


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 120), st.integers(1, 20))
def test_rounds_are_made_as_often_as_in_the_trainers_loop(
    batches: int, accumulation: int, total_steps: int, interval: int
) -> None:
    made = rounds.paintings(batches, accumulation, total_steps, interval)
    assert made == painted_one_by_one(batches, accumulation, total_steps, interval)


def test_rounds_of_a_run_that_was_seen() -> None:
    assert rounds.paintings(4, 2, 4, 2) == {2: 2, 4: 0}
    assert set(rounds.paintings(1069, 2, 16_050, 535).values()) == {1}
    assert set(rounds.paintings(1069, 1, 32_070, 1069).values()) == {1}


def test_another_interval_leaves_no_round_out_and_is_the_nearest() -> None:
    assert rounds.better_interval(356, 2, 5340, 178) == 177
    assert set(rounds.paintings(356, 2, 5340, 177).values()) == {1}
    assert rounds.better_interval(5, 3, 15, 5) == 6, "at 4 too, rounds are left out"
    assert 0 in rounds.paintings(5, 3, 15, 4).values()
    assert rounds.better_interval(2, 2, 20, 2) == 11, "made twice, for want of a better one"


def test_where_every_interval_leaves_rounds_out_none_is_named() -> None:
    assert rounds.better_interval(4, 2, 10_000, 2) is None
    (hit,) = found(summed_up(24, total_steps=10_000, interval=2), "rounds-left-out")
    assert hit.what == (
        "Of 5,000 rounds of pictures the trainer never makes 2,500, the last one among them (step 4, 8, 12, 16 and "
        "so on), and makes 2,500 twice (step 2, 6, 10, 14 and so on)."
    )


def test_rounds_that_are_only_made_twice_are_told_too() -> None:
    (hit,) = found(summed_up(total_steps=200, interval=178), "rounds-left-out")
    assert hit.what.startswith("Of 1 rounds of pictures the trainer makes 1 twice (step 178).")


def test_batches_of_an_epoch_are_cut_from_each_bucket_in_each_repeat() -> None:
    assert rounds.batches_an_epoch({"1.0": 13, "0.75": 7}, 6) == 5
    assert rounds.batches_an_epoch({"1.0": 20}, 6, repeats=1) == 8
    assert rounds.batches_an_epoch({"1.0": 6413}, 6, gpus=2) == 535
    assert rounds.batches_an_epoch({"1.0": 13}, 6, gpus=2) is None, "one GPU has 7 pictures, the other 6"


def test_rounds_are_only_counted_where_the_trainers_count_is_known() -> None:
    bad = CASES["rounds-left-out"].bad
    for changed in (
        {"validation_epoch_interval": 1},
        {"validate_after_step": 1},
        {"validation_disable": True},
        {"gradient_accumulation_steps": 1},
    ):
        assert found(replace(bad, config={**bad.config, **changed}), "rounds-left-out") == []
    assert found(known(bad, output_checkpoints=(178,)), "rounds-left-out") == [], "a resumed run counts otherwise"
    assert found(known(bad, bucket_sizes={"1.0": 2129, "0.75": 7}), "rounds-left-out") == [], "a short bucket"
    assert found(known(bad, bucket_sizes={"1.0": 2125}, gpus=2), "rounds-left-out") == []
    assert found(replace(bad, backends=()), "rounds-left-out") == []
    assert found(summed_up(total_steps=50_000, interval=1), "rounds-left-out") == []


def test_checkpoints_by_epochs_are_not_counted_in_steps() -> None:
    subject = but(checkpoint_epoch_interval=1, checkpoint_step_interval=40000)
    assert found(subject, "no-checkpoint") == []


def test_without_a_limit_all_checkpoints_must_fit() -> None:
    subject = known(but(checkpoints_total_limit=0), checkpoint_bytes=2**30, free_disk_bytes=29 * 2**30)
    assert "30 checkpoints" in found(subject, "disk-too-small")[0].what
    assert found(subject, "checkpoints-deleted") == []


def test_none_goes_alone() -> None:
    assert found(but(report_to="none,simpletuner"), "unknown-tracker")


@pytest.mark.parametrize(
    ("hook", "says"), [({"webhook_type": "mail"}, "'mail'"), ({"webhook_type": "discord"}, "webhook_url")]
)
def test_webhooks_are_checked_one_by_one_or_alone(hook: dict[str, str], says: str) -> None:
    assert says in found(but(webhook_config=hook), "webhook-incomplete")[0].what
    assert found(but(webhook_config="/hooks.json"), "webhook-incomplete") == []


def test_a_public_repository_is_called_public() -> None:
    (hit,) = found(but(push_to_hub=True, model_card_private=False), "pushes-to-hub")
    assert "public" in hit.what


def test_findings_can_be_written_as_json() -> None:
    (finding,) = found(but(lora_rank=768, lora_alpha=768), "rank-very-large")
    assert json.loads(json.dumps([finding.rule, finding.severity, finding.key, finding.what]))[0] == "rank-very-large"
