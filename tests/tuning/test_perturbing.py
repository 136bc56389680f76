"""A pick that is moved stays in its domain, and moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange, Pick
from genotune.tuning.perturbing import perturbed

DOMAINS = [
    FloatRange(1e-4, 1e-1, log=True),
    FloatRange(-2.0, 3.0),
    FloatRange(0.0, 0.5, step=0.1),
    IntRange(1, 6),
    IntRange(1, 4, step=2),
    IntRange(1, 1000, log=True),
    IntRange(3, 3),
    Choice(4),
]


@pytest.mark.parametrize(
    ("domain", "pick", "factor", "wanted"),
    [
        (FloatRange(1e-4, 1e-1, log=True), 0.01, 1.25, 0.0125),
        (FloatRange(1e-4, 1e-1, log=True), 0.09, 1.25, 0.1),
        (FloatRange(1e-4, 1e-1, log=True), 1.1e-4, 0.8, 1e-4),
        (FloatRange(-2.0, 3.0), -1.0, 1.25, -1.25),
        (FloatRange(0.0, 0.5, step=0.1), 0.1, 1.25, 0.2),
        (FloatRange(0.0, 0.5, step=0.1), 0.0, 1.25, 0.1),
        (FloatRange(0.0, 0.5, step=0.1), 0.0, 0.8, 0.0),
        (FloatRange(0.0, 0.5, step=0.1), 0.4, 0.5, 0.2),
        (IntRange(1, 100), 40, 1.25, 50),
        (IntRange(1, 6), 2, 0.8, 1),
        (IntRange(1, 4, step=2), 1, 1.25, 3),
        (IntRange(1, 4, step=2), 3, 1.25, 3),
        (Choice(4), 1, 1.25, 2),
        (Choice(4), 1, 0.8, 0),
        (Choice(4), 3, 1.25, 3),
    ],
)
def test_a_pick_is_multiplied_and_a_counted_one_goes_to_the_next_at_least(
    domain: Domain, pick: Pick, factor: float, wanted: Pick
) -> None:
    assert perturbed(domain, pick, factor) == pytest.approx(wanted)


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@given(share=st.floats(0, 1), factor=st.sampled_from([0.1, 0.8, 1.25, 10.0]))
def test_what_comes_out_is_a_pick_of_the_domain_and_another_one_inside_of_it(
    domain: Domain, share: float, factor: float
) -> None:
    pick = domain.at(share)
    moved = perturbed(domain, pick, factor)
    assert domain.holds(moved)
    is_inside = pick not in (domain.at(0.0), domain.at(1.0), 0.0)
    assert moved != pick or not is_inside
