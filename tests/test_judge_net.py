import sys
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from kanjiprep.errors import UsageError
from kanjiprep.evaluation.judge import net, variety

torch = pytest.importorskip("torch")

INKS = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)


class NoTorch:
    """An importer that finds no torch."""

    @staticmethod
    def find_spec(name: str, *_where: object) -> ModuleSpec | None:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return None


def test_without_torch_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", [NoTorch, *sys.meta_path])
    with pytest.raises(UsageError) as caught:
        net.load_torch()
    assert str(caught.value) == "needs torch; pip install 'kanjiprep[score]'"


def test_the_network_has_about_half_a_million_numbers() -> None:
    numbers = net.weights(net.build(198))
    assert 400_000 < sum(value.size for value in numbers.values()) < 600_000


def test_a_picture_is_seen_alike_alone_and_among_others() -> None:
    with net.repeatable(1):
        network = net.build(7)
        many, one = net.see(network, INKS), net.see(network, INKS[3:4])
    assert many.components.shape == (5, 7)
    assert many.strokes.shape == (5,)
    assert ((many.components > 0) & (many.components < 1)).all()
    assert np.linalg.norm(many.features, axis=1) == pytest.approx(1, abs=1e-5)
    assert one.components[0] == pytest.approx(many.components[3], abs=1e-5)
    assert one.features[0] == pytest.approx(many.features[3], abs=1e-5)


def test_weights_make_the_same_network_again() -> None:
    with net.repeatable(2):
        network = net.build(3)
        network.train()
        net.answer(network, torch.rand(4, 1, 64, 64))  # moves the running means
        before = net.see(network, INKS)
        again = net.see(net.filled(net.weights(network)), INKS)
    assert (again.components == before.components).all()
    assert (again.features == before.features).all()


def settings() -> tuple[int, bool, bool]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def test_a_repeatable_block_draws_the_same_and_leaves_what_is_drawn_after_it_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2).tolist()
    torch.manual_seed(5)
    with net.repeatable(1):
        first = torch.rand(1).item()
    with net.repeatable(1):
        assert torch.rand(1).item() == first
    assert torch.rand(2).tolist() == expected


@pytest.mark.parametrize("before", [(2, False, False), (1, True, False), (2, True, True)])
def test_what_was_set_before_a_repeatable_block_stands_after_it_even_if_it_fails(
    before: tuple[int, bool, bool],
) -> None:
    usual = settings()
    try:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])
        with pytest.raises(ZeroDivisionError), net.repeatable(1):
            assert settings() == (1, True, False)
            raise ZeroDivisionError
        assert settings() == before
    finally:
        torch.set_num_threads(usual[0])
        torch.use_deterministic_algorithms(usual[1], warn_only=usual[2])


def test_building_a_network_from_weights_draws_no_random_numbers() -> None:
    numbers = net.weights(net.build(2))
    torch.manual_seed(5)
    expected = torch.rand(1).item()
    torch.manual_seed(5)
    net.filled(numbers)
    assert torch.rand(1).item() == expected


def test_changed_characters_differ_from_each_other_and_are_the_same_for_a_seed() -> None:
    inks = np.zeros((2, 1, 64, 64), np.uint8)
    inks[:, :, 10:54, 30:34] = 255
    picked = np.zeros(6, np.intp)
    changed = variety.changed(inks, picked, 3)
    assert changed.shape == (6, 64, 64)
    assert (changed == variety.changed(inks, picked, 3)).all()
    assert (changed != variety.changed(inks, picked, 4)).any()
    first, second = changed[0].astype(int), changed[1].astype(int)
    assert np.abs(first - second).mean() > 2
    assert all(one[20:44, 16:48].astype(float).mean() > one.astype(float).mean() for one in changed)
