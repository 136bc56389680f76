"""When a driver is started again, and when not; real drivers and nodes are in test_submitting.py."""

import threading

import pytest

from genotune import supervision
from genotune.supervision import _Ended


@pytest.fixture
def keep(monkeypatch):
    """Keeps drivers at work that end as they are told to; the exit code, and what was said."""
    monkeypatch.setattr(supervision, "_PAUSE_S", 0.0)
    monkeypatch.setattr(supervision, "_resources", lambda _: {})

    def call(*ends, asked=False, each_s=0.0):
        left, said, asked_to_end = list(ends), [], threading.Event()
        clock = [0.0]
        monkeypatch.setattr(supervision.time, "monotonic", lambda: clock[0])
        if asked:
            asked_to_end.set()

        def drive(*_, **__):
            clock[0] += each_s
            return left.pop(0)

        monkeypatch.setattr(supervision, "_drive", drive)
        code = supervision._keep([], [], has_driver_nodes=False, say=said.append, asked_to_end=asked_to_end)
        assert not left, "as many drivers as it should start"
        return code, said

    return call


@pytest.mark.parametrize("code", [0, 2, 130])
def test_a_sweep_that_ended_or_that_a_person_must_mend_is_not_started_again(keep, code):
    assert keep(_Ended(code)) == (code, [])


def test_a_driver_whose_node_is_gone_is_started_again(keep):
    code, said = keep(_Ended(None, "its node died"), _Ended(-9), _Ended(0), each_s=100)
    assert code == 0
    assert said == [
        "The driver is gone (its node died); it is started again, and the sweep goes on.",
        "The driver ended with code -9; it is started again, and the sweep goes on.",
    ]


def test_one_that_dies_at_once_again_and_again_is_given_up(keep):
    code, said = keep(*[_Ended(1)] * 5, each_s=10)
    assert code == 1
    assert said[-1] == "The driver ended with code 1, the 5th time within a minute; it is not started again."


def test_one_that_works_for_long_between_its_deaths_is_not_given_up(keep):
    ends = [end for _ in range(4) for end in (_Ended(1), _Ended(1), _Ended(None, "x"))]
    code, _ = keep(*ends, _Ended(0), each_s=61)
    assert code == 0


def test_after_a_person_asked_it_to_end_nothing_is_started(keep):
    assert keep(_Ended(None, "its node died"), asked=True) == (130, [])
    assert keep(_Ended(-15), asked=True) == (130, [])
