"""How many trials a cluster has room for, and what it costs, at its largest."""

import pytest

from genotune.node_types import Fleet, NodeType
from genotune.spec import Resources

HEAD = NodeType("head", 0, 0, None, 0, 0, is_head=True, price_hour=0.1)
DRIVER = NodeType("driver", 0, 0, 16, 0, 2, custom={"driver": 1}, price_hour=0.3)
CPU = NodeType("cpu", 8, 0, 32, 0, 4, price_hour=0.4)
GPU = NodeType("gpu", 4, 2, 16, 0, 3, price_hour=2.0)


def test_every_machine_that_may_be_there_has_room():
    fleet = Fleet((HEAD, CPU, GPU), 7)
    assert fleet.trials_at_once(Resources(cpus=2)) == 4 * 4 + 3 * 2
    assert fleet.trials_at_once(Resources(gpus=0.5)) == 3 * 4
    assert fleet.trials_at_once(Resources(memory_gib=16)) == 4 * 2 + 3
    assert fleet.trials_at_once(Resources(cpus=16)) == 0


def test_the_limit_of_all_types_holds_and_the_roomiest_are_counted():
    assert Fleet((HEAD, GPU, CPU), 5).trials_at_once(Resources()) == 4 * 8 + 4


def test_machines_that_always_run_take_of_the_limit():
    always = CPU._replace(min_workers=3)
    assert Fleet((HEAD, always, GPU), 4).trials_at_once(Resources(gpus=1)) == 2


def test_workers_of_a_trial_may_be_on_several_machines():
    fleet = Fleet((HEAD, GPU), 3)
    assert fleet.trials_at_once(Resources(workers=3, gpus=1)) == 2
    assert fleet.trials_at_once(Resources(workers=7, gpus=1)) == 0


def test_the_head_counts_by_its_cpus_and_once_more_than_its_workers():
    head = HEAD._replace(cpus=4)
    assert Fleet((head,), 0).trials_at_once(Resources()) == 4
    assert Fleet((head._replace(max_workers=2),), 2).trials_at_once(Resources()) == 12


def test_memory_that_is_not_known_is_never_short_and_cpus_always_are():
    wanted = Resources(memory_gib=1000)
    assert Fleet((HEAD, CPU._replace(memory_gib=None)), 1).trials_at_once(wanted) == 8
    assert Fleet((HEAD, CPU._replace(cpus=None)), 1).trials_at_once(Resources()) == 0


def test_the_driver_has_a_machine_of_its_own_that_counts_against_the_limit():
    fleet = Fleet((HEAD, DRIVER, CPU), 3)
    assert fleet.driver is DRIVER
    assert fleet.trials_at_once(Resources()) == 2 * 8
    assert fleet.at_most(lambda one: one.cpus or 0) == {"head": 1, "driver": 1, "cpu": 2}
    assert Fleet((HEAD, CPU), 3).driver is HEAD
    assert Fleet((HEAD, DRIVER._replace(max_workers=0), CPU), 3).driver is HEAD


def test_trials_run_on_the_drivers_machine_too_where_it_has_cpus():
    assert Fleet((HEAD, DRIVER._replace(cpus=2), CPU), 6).trials_at_once(Resources()) == 2 * 2 + 4 * 8


def test_no_more_machines_are_started_than_there_are_workers_to_carry():
    fleet = Fleet((HEAD, CPU, GPU), 7)
    assert fleet.at_most(lambda one: one.price_hour, n_more=4) == {"head": 1, "cpu": 1, "gpu": 3}


def test_an_hour_costs_what_its_machines_do():
    fleet = Fleet((HEAD, CPU._replace(min_workers=1), GPU), 7)
    assert fleet.hour(fleet.at_idle()) == pytest.approx(0.1 + 0.4)
    assert fleet.hour({"head": 1, "cpu": 0, "gpu": 3}) == pytest.approx(6.1)


def test_an_hour_with_a_machine_of_unknown_price_is_not_known():
    fleet = Fleet((HEAD, CPU._replace(price_hour=None)), 4)
    assert fleet.hour({"head": 1, "cpu": 1}) is None
    assert fleet.hour({"head": 1, "cpu": 0}) == pytest.approx(0.1)
