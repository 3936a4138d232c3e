import collections
import tracemalloc

import numpy as np
import pytest

from zoo.texts.ngrams import kneser_ney


def reference(train, held_out, size, order):
    """The formula with dicts and plain loops."""
    train, held_out = [int(i) for i in train], [int(i) for i in held_out]
    order = min(order, len(train))
    counts = {}
    for k in range(1, order + 1):
        found = collections.defaultdict(set)
        for i in range(len(train) - k + 1):
            # What tells occurrences apart: the place, or the id before.
            kind = i if k == order else train[i - 1] if i else "begin"
            found[tuple(train[i : i + k])].add(kind)
        counts[k] = {gram: len(kinds) for gram, kinds in found.items()}

    def discount(k, count):
        n = collections.Counter(counts[k].values())
        i = min(count, 3)
        if n[i] == 0:
            return i / 2
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
        return min(max(i - (i + 1) * y * n[i + 1] / n[i], i / 20), i)

    def probability(context, following):
        if context is None:
            return 1 / size
        shorter = context[1:] if context else None
        below = probability(shorter, following)
        k = len(context) + 1
        after = {g: c for g, c in counts[k].items() if g[:-1] == context}
        if not after:
            return below
        count = after.get((*context, following), 0)
        freed = sum(discount(k, c) for c in after.values())
        own = count - discount(k, count) if count else 0.0
        return (own + freed * below) / sum(after.values())

    return [
        probability(tuple(held_out[max(0, i - order + 1) : i]), following)
        for i, following in enumerate(held_out)
    ]


def some_text(length, size, seed=0):
    rng = np.random.default_rng(seed)
    return (size * rng.random(length) ** 3).astype(int)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 3, 40, 400])
def test_probabilities_equal_those_of_plain_loops(length, order):
    train, held_out = some_text(length, 6), some_text(50, 7, seed=1)
    found = kneser_ney(train, held_out, 7, order)
    np.testing.assert_allclose(found, reference(train, held_out, 7, order), rtol=1e-12)


def test_probabilities_after_any_context_sum_to_one():
    train = some_text(300, 6)
    for context in ([], [0, 0, 0], [0, 1, 2], [6, 5, 0], list(train[-3:])):
        total = sum(
            kneser_ney(train, np.array([*context, following]), 7, 4)[-1]
            for following in range(7)
        )
        assert total == pytest.approx(1.0)


def test_an_id_that_never_occurred_has_a_probability():
    assert kneser_ney(np.zeros(50, int), np.array([0, 3]), 4, 5)[1] > 0


def test_a_cycle_is_known_after_its_first_round():
    cycle = np.arange(3000) % 3
    assert (kneser_ney(cycle, cycle, 4, 3)[3:] > 0.99).all()


def test_a_million_different_ids_take_the_memory_of_the_text():
    ids = np.random.default_rng(0).permutation(10**6)
    tracemalloc.start()
    kneser_ney(ids, ids[:1000], 10**6 + 1, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 * len(ids)
