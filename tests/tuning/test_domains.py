"""Domains: both ends included, every value reachable, nothing outside."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange

SHARES = st.floats(0, 1)
WHOLE = st.integers(-1000, 1000)


@st.composite
def stepped_floats(draw: st.DrawFn) -> FloatRange:
    tenths, step, n_steps = draw(WHOLE), draw(st.integers(1, 50)), draw(st.integers(1, 30))
    return FloatRange(tenths / 10, (tenths + step * n_steps) / 10, step=step / 10)


@st.composite
def continuous_floats(draw: st.DrawFn) -> FloatRange:
    log = draw(st.booleans())
    bound = st.floats(1e-12, 1e12) if log else st.floats(-1e12, 1e12)
    low, high = sorted(draw(st.lists(bound, min_size=2, max_size=2, unique=True)))
    return FloatRange(low, high, log=log)


@st.composite
def whole_ranges(draw: st.DrawFn) -> IntRange:
    if draw(st.booleans()):
        low = draw(st.integers(1, 50))
        return IntRange(low, low + draw(st.integers(1, 500)), log=True)
    low, step = draw(WHOLE), draw(st.integers(1, 7))
    return IntRange(low, low + step * draw(st.integers(1, 40)), step=step)


COUNTED = stepped_floats() | whole_ranges() | st.builds(Choice, st.integers(1, 9))


@given(domain=COUNTED | continuous_floats())
def test_both_ends_of_every_domain_are_reached(domain: Domain) -> None:
    assert (domain.at(0.0), domain.at(1.0)) == domain.ends()
    assert all(domain.holds(end) for end in domain.ends())


@given(domain=COUNTED | continuous_floats(), share=SHARES)
def test_every_pick_is_held_by_its_domain(domain: Domain, share: float) -> None:
    assert domain.holds(domain.at(share))


@given(domain=COUNTED | continuous_floats(), shares=st.tuples(SHARES, SHARES))
def test_a_larger_share_never_gives_a_lower_pick(domain: Domain, shares: tuple[float, float]) -> None:
    assert domain.at(min(shares)) <= domain.at(max(shares))


@given(domain=COUNTED)
def test_indices_and_values_are_each_others_inverse(domain: Domain) -> None:
    assert domain.n_values is not None
    values = [domain.value(index) for index in range(domain.n_values)]
    assert [domain.index(value) for value in values] == list(range(domain.n_values))
    assert (values[0], values[-1]) == domain.ends()
    assert values == sorted(set(values))


@given(domain=COUNTED)
def test_every_value_of_a_counted_domain_is_drawn(domain: Domain) -> None:
    assert domain.n_values is not None
    drawn = {domain.at(i / 6_000) for i in range(6_001)}
    assert drawn == {domain.value(index) for index in range(domain.n_values)}


def test_steps_of_a_tenth_are_tenths() -> None:
    domain = FloatRange(0.0, 1.0, step=0.1)
    assert [domain.value(i) for i in range(11)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_a_log_range_is_even_in_its_logarithm() -> None:
    domain = FloatRange(1e-4, 1e-2, log=True)
    assert domain.at(0.5) == pytest.approx(1e-3)


def test_a_log_int_gives_each_number_its_stretch_of_the_logarithm() -> None:
    domain = IntRange(1, 4, log=True)
    picks = [domain.at((i + 0.5) / 90_000) for i in range(90_000)]
    shares = [picks.count(value) / 90_000 for value in (1, 2, 3, 4)]
    expected = [math.log((value + 0.5) / (value - 0.5)) / math.log(4.5 / 0.5) for value in (1, 2, 3, 4)]
    assert shares == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("pick", [True, 1.0, "1", None, 7, -1, 2])
def test_what_is_no_value_of_an_int_range_is_not_held(pick: object) -> None:
    assert not IntRange(1, 5, step=2).holds(pick)


@pytest.mark.parametrize("pick", [1, 0.25, 1.5, float("nan"), "0.5"])
def test_what_is_no_value_of_a_stepped_float_is_not_held(pick: object) -> None:
    assert not FloatRange(0.0, 1.0, step=0.1).holds(pick)


@pytest.mark.parametrize("pick", [True, 0.0, 3, -1])
def test_what_is_no_index_of_a_choice_is_not_held(pick: object) -> None:
    assert not Choice(3).holds(pick)


@pytest.mark.parametrize(
    "domain",
    [
        FloatRange(0.5, 4.5),
        FloatRange(1e-4, 1e-2, log=True),
        FloatRange(0.0, 0.3, step=0.1),
        IntRange(2, 6),
        IntRange(2, 8, step=3),
        IntRange(1, 40, log=True),
        Choice(3),
    ],
)
def test_the_share_of_a_pick_leads_back_to_it(domain: Domain) -> None:
    for share in (0.0, 0.2, 0.55, 1.0):
        pick = domain.at(share)
        assert domain.at(domain.share(pick)) == pytest.approx(pick, rel=1e-12)
        assert 0 <= domain.share(pick) <= 1
        if domain.n_values is None:
            assert domain.share(pick) == pytest.approx(share)
