"""Errors that a person can act on survive the way between processes."""

import pickle

from genotune.errors import DataError, SpecError, describe


def test_an_error_is_the_same_after_a_journey_between_processes():
    error = pickle.loads(pickle.dumps(SpecError(["a.yaml:1: x: wrong", "a.yaml:2: y: wrong too"])))
    assert error.lines == ("a.yaml:1: x: wrong", "a.yaml:2: y: wrong too")
    assert str(error) == "a.yaml:1: x: wrong\na.yaml:2: y: wrong too"
    assert str(pickle.loads(pickle.dumps(DataError("a.bw: torn")))) == "a.bw: torn"


def test_values_are_described_as_a_person_wrote_them():
    assert describe(None) == "nothing (null)"
    assert describe(True) == "true"
    assert describe("x") == "the text 'x'"
    assert describe([]) == "an empty list"
    assert describe([1, 2]) == "a list of 2"
    assert describe({}) == "a mapping (key: value)"
    assert describe(10**40).endswith("(41 digits)")
