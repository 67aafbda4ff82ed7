"""Evidence weighed within bounds, and weights found again from examples."""

import numpy as np
import pytest
from benchmarks.fit_odds import Picture, fitted, likelihood, report

from usguide.fascia.logistic import Logistic

MODEL = Logistic({"slope": (2.0, -1.0, 1.0), "level": (-3.0, 0.0, 0.5)}, offset=0.5)


@pytest.mark.parametrize(
    ("measured", "odds"),
    [((0.5, 0.25), 0.75), ((9.0, -9.0), 2.5), ((-9.0, 9.0), -3.0), ((0.0, 0.0), 0.5)],
)
def test_evidence_counts_by_its_weight_and_within_its_bounds(measured, odds):
    assert MODEL.odds(np.array(measured)) == pytest.approx(odds)


def test_rows_are_clipped_together():
    rows = MODEL.clipped(np.array([[2.0, 0.1], [-2.0, 0.9]]))
    np.testing.assert_allclose(rows, [[1.0, 0.1], [-1.0, 0.5]])


def drawn(pictures, rows, rng):
    """Pictures whose lines are right as often as the model says."""
    seen = []
    for _ in range(pictures):
        evidence = rng.uniform([-1.5, -0.1], [1.5, 0.6], (rows, 2))
        odds = np.array([MODEL.odds(one) for one in evidence])
        right = rng.random(rows) < 1 / (1 + np.exp(-odds))
        seen.append([(one, bool(is_one)) for one, is_one in zip(evidence, right, strict=True)])
    return seen


def test_weights_are_found_again_from_what_they_would_have_decided():
    rng = np.random.default_rng(4)
    seen, aside = drawn(600, 4, rng), drawn(200, 4, rng)
    blank = Logistic({name: (0.0, *part[1:]) for name, part in MODEL.terms.items()}, offset=0.0)
    again = fitted(blank, seen)
    for name, (weight, _, _) in MODEL.terms.items():
        assert again.terms[name][0] == pytest.approx(weight, abs=0.6)
    assert again.offset == pytest.approx(MODEL.offset, abs=0.3)
    assert likelihood(again, aside) > likelihood(blank, aside) + 0.1


def test_a_picture_weighs_as_much_as_another_however_many_lines_it_has():
    one = (np.array([1.0, 0.0]), True)
    other = (np.array([1.0, 0.0]), False)
    assert likelihood(MODEL, [[one] * 9, [other]]) == pytest.approx(
        likelihood(MODEL, [[one], [other]])
    )


def test_the_report_names_every_folder_and_both_halves():
    rng = np.random.default_rng(5)

    def rows(terms):
        return [(rng.normal(size=terms), bool(rng.random() < 0.5)) for _ in range(3)]

    every = [
        Picture("heels", at % 2 == 1, {"bone_odds": rows(8), "surroundings": [], "heel_odds": []})
        for at in range(8)
    ]
    said = report([*every, Picture("empty", False, {name: [] for name in every[0].rows})])
    assert "heels, fitted to" in said
    assert "heels, aside" in said
    assert "empty" not in said
