from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.spec import SpecError
from kanjiprep.training import gpus

TABLE = gpus.load()


def test_the_table_that_ships_is_dated_and_whole() -> None:
    assert date.fromisoformat(TABLE.prices_read) >= date(2026, 9, 5)
    assert {"a100-40gb-sxm", "h100-80gb-sxm", "gh200", "b200", "rtx4090-24gb"} <= {one.name for one in TABLE.gpu}
    assert all(one.usd_per_hour for one in TABLE.instance)


def test_memory_is_less_than_the_box_says() -> None:
    for gpu in TABLE.gpu:
        gigabytes = next(int(word) for word in gpu.title.split() if word.isdigit() and int(word) in range(12, 181))
        assert 0.9 * gigabytes < gpu.memory_gib < gigabytes, gpu.name


def test_a_gpu_without_bf16_says_so() -> None:
    without = [gpu.name for gpu in TABLE.gpu if gpu.bf16_tflops is None]
    assert without == ["rtx6000-24gb", "v100-16gb"]


def test_an_instance_has_a_dated_price() -> None:
    price = gpus.table_price(TABLE, gpus.instances_with(TABLE, "a100-40gb-sxm")[0])
    assert str(price) == (
        "1.99 USD/h, published: lambda.ai/pricing, agreeing with SkyPilot's catalogue v9, read 2026-09-05"
    )


def test_an_instance_whose_price_was_not_read_has_none() -> None:
    assert gpus.table_price(TABLE, gpus.Instance("gpu_1x_new", "b200")) is None


def test_instances_are_found_by_gpu_and_count() -> None:
    assert [one.name for one in gpus.instances_with(TABLE, "h100-80gb-sxm", 8)] == ["gpu_8x_h100_sxm5"]
    assert gpus.instances_with(TABLE, "rtx4090-24gb") == ()


def test_more_gpus_cost_no_more_each() -> None:
    for one in TABLE.instance:
        for many in gpus.instances_with(TABLE, one.gpu, 8):
            assert (many.usd_per_hour or 0) / 8 <= (one.usd_per_hour or 0) / one.gpus


def test_an_unknown_name_is_told_with_a_guess() -> None:
    with pytest.raises(UsageError, match="no GPU is called 'H100', did you mean 'h100-80gb-pcie'."):
        gpus.gpu_named(TABLE, "H100")
    with pytest.raises(UsageError, match="no GPU is called 'a100-40gb-smx', did you mean 'a100-40gb-sxm'."):
        gpus.gpu_named(TABLE, "a100-40gb-smx")


GPU = 'name = "x"\ntitle = "X"\nmemory_gib = 10\nmemory_how = "seen"\ntflops_source = "x"\nbandwidth_tb_s = 1\n'
HEAD = 'prices_read = "2026-01-01"\nprices_source = "x"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpu = [", "is not TOML"),
        (HEAD, "gpu is missing; instance is missing"),
        (
            f"{HEAD}instance = []\n[[gpu]]\n{GPU}memory = 1\n",
            r"gpu\[0\].memory is not a key here, did you mean 'memory_",
        ),
        (f"{HEAD}instance = []\n[[gpu]]\n{GPU}[[gpu]]\n{GPU}", "x is there twice"),
        (f'{HEAD}[[gpu]]\n{GPU}[[instance]]\nname = "m"\ngpu = "y"\n', "m has a GPU 'y' that is not there"),
        (
            f'{HEAD}[[gpu]]\n{GPU}[[instance]]\nname = "m"\ngpu = "x"\ngpus = 0\n',
            r"instance\[0\].gpus must be at least 1",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_told_whole(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "gpus.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=says):
        gpus.load(path)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x.toml: cannot be read: no such file"):
        gpus.load(tmp_path / "x.toml")


def test_problems_of_a_table_come_together(tmp_path: Path) -> None:
    path = tmp_path / "gpus.toml"
    path.write_text(f'{HEAD}[[gpu]]\n{GPU}[[gpu]]\n{GPU}[[instance]]\nname = "m"\ngpu = "y"\n', "utf-8")
    with pytest.raises(SpecError) as caught:
        gpus.load(path)
    assert len(caught.value.problems) == 2
