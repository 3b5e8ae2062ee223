"""Which samples the command line holds out."""

import numpy as np
import pytest

from fastmlp.command_line.splitting import drawn_split, gaps, last_split


def drawn(labels, seed=0):
    labels = np.asarray(labels)
    train, held_out = drawn_split(labels, np.random.RandomState(seed))
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(len(labels)))
    assert (np.diff(train) > 0).all() and (np.diff(held_out) > 0).all()
    return labels[train], labels[held_out], held_out


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("order", ["sorted", "shuffled", "in turn"])
def test_a_fifth_of_every_class(order, seed):
    counts = np.array([1, 2, 3, 4, 5, 9, 10, 11, 100, 355])  # 500
    labels = np.repeat(np.arange(10), counts)
    if order == "shuffled":
        np.random.RandomState(seed).shuffle(labels)
    elif order == "in turn":
        labels = labels[np.argsort(np.arange(500) % 7, kind="stable")]
    train, held_out, _ = drawn(labels, seed)
    assert len(held_out) == 100
    found = np.bincount(held_out, minlength=10)
    # The single sample of class 0 is trained on, so a hundred are drawn of 499.
    exact = counts * 100 / 499
    assert found[0] == 0
    assert (found >= np.floor(exact)).all() and (found <= np.ceil(exact)).all()
    assert set(train) == set(range(10))


def test_every_class_of_two_keeps_one():
    for seed in range(50):
        random = np.random.RandomState(seed)
        labels = random.permutation(np.repeat(np.arange(20), random.randint(1, 4, 20)))
        train, held_out, _ = drawn(labels, seed)
        assert set(train) == set(range(20))
        n_several = sum(n for n in np.bincount(labels) if n > 1)
        assert len(held_out) == min(len(labels) // 5, n_several // 2)


def test_most_classes_have_one_sample():
    # Of 22 samples a fifth would be 4; both of class 20 together may give only 1.
    train, held_out, _ = drawn([*range(20), 20, 20])
    assert held_out.tolist() == [20] and np.count_nonzero(train == 20) == 1
    assert len(drawn(range(50))[1]) == 0


def test_every_sample_is_held_out_as_often():
    labels = np.repeat([0, 1, 2], [3, 7, 40])
    often = np.zeros(50)
    for seed in range(2000):
        often[drawn(labels, seed)[2]] += 1
    # 400 of each are expected, with a deviation of 18.
    assert 310 < often.min() and often.max() < 490


def test_labels_may_be_large_and_have_gaps():
    large = np.array([10**15, 3] * 50)
    _, held_out, _ = drawn(large)
    assert sorted(held_out) == [3] * 10 + [10**15] * 10


def test_the_seed_draws():
    labels = np.arange(200) % 2
    assert np.array_equal(drawn(labels, 1)[2], drawn(labels, 1)[2])
    assert not np.array_equal(drawn(labels, 1)[2], drawn(labels, 2)[2])


@pytest.mark.parametrize("n, n_train", [(5, 4), (9, 8), (10, 8), (1797, 1438)])
def test_the_last_fifth(n, n_train):
    rows = np.arange(n)
    train, held_out = last_split(rows)
    assert np.array_equal(rows[train], rows[:n_train])
    assert np.array_equal(rows[held_out], rows[n_train:])


def test_gaps_are_named():
    assert gaps(np.array([0, 1, 2]), np.array([2, 1, 0, 0])) == []
    unknown, unmeasured = gaps(np.array([0, 0, 1]), np.array([1, 7, 7, 8]))
    assert unknown.startswith("3 of the 4 held-out samples belong to classes without a training")
    assert "sample: 7, 8; without --no-shuffle" in unknown
    assert unmeasured.endswith("without a held-out sample: 0")
    (many,) = gaps(np.arange(1000), np.array([999]))
    assert many.endswith(": 0, 1, 2, 3, 4 and 994 more")
