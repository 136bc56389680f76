"""Whose failure it was: the trial's, or that of the machine under it."""

import pytest

from genotune import lost_machines
from genotune.lost_machines import LostMachines

DIED = "Failure # 1\nThe actor died unexpectedly before finishing this task.\nbecause its node has died.\n"
UNREACHED = "Failure # 1\nThe actor ab12 is unavailable: The actor is temporarily unavailable: Socket closed\n"
OWN = "Failure # 1\nray::ImplicitFunc.train() ValueError: no\n"


class Cluster:
    """Machines by name, and a clock."""

    def __init__(self, monkeypatch):
        self.alive, self.now_s = {"n1", "n2"}, 0.0
        monkeypatch.setattr(lost_machines.time, "monotonic", lambda: self.now_s)

    def counts(self, retries):
        return LostMachines(retries, node_of=lambda _: "n1", alive=lambda: frozenset(self.alive))


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


def test_a_trial_whose_machine_died_goes_on_though_it_may_not_be_tried_twice(cluster):
    counts = cluster.counts(0)
    assert counts.may_go_on(3, DIED, n_failures=1)
    assert counts.may_go_on(3, DIED, n_failures=1)


def test_a_failure_of_its_own_is_no_reason_to_go_on(cluster):
    assert not cluster.counts(5).may_go_on(3, OWN, n_failures=1)


def test_its_own_failures_are_counted_beside_those_of_machines(cluster):
    counts = cluster.counts(1)
    assert counts.may_go_on(3, DIED + OWN, n_failures=2)
    assert not counts.may_go_on(3, DIED + OWN, n_failures=2)


def test_a_process_that_cant_be_reached_is_excused_if_its_machine_turns_out_dead(cluster):
    counts = cluster.counts(0)
    assert counts.may_go_on(3, UNREACHED, n_failures=1)
    cluster.now_s = 20
    cluster.alive.remove("n1")
    counts.look()
    cluster.now_s = 100
    counts.look()
    assert counts.may_go_on(3, DIED, n_failures=1)


def test_and_counts_against_the_trial_if_its_machine_lives_on(cluster):
    counts = cluster.counts(0)
    assert counts.may_go_on(3, UNREACHED, n_failures=1)
    cluster.now_s = 61
    counts.look()
    assert not counts.may_go_on(3, UNREACHED, n_failures=1)


def test_a_trial_that_ends_one_machine_after_the_other_is_given_up(cluster):
    counts = cluster.counts(0)
    assert [counts.may_go_on(3, DIED, n_failures=1) for _ in range(22)] == [True] * 20 + [False] * 2
