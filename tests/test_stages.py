"""The stages of a sweep: how many trials wait for machines that are yet to be started."""

from genotune.machines import MachineSize
from genotune.node_types import Fleet, NodeType
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.stages import n_at_once

HEAD = NodeType("head", 0, 0, None, 0, 0, is_head=True)
FLEET = Fleet((HEAD, NodeType("gpu", 4, 1, 16, 0, 3)), 3)


def planned(edited, resources):
    return make_plan(read_spec(edited(("objective:", f"resources: {{poisson_cnn: {resources}}}\nobjective:"))))


def test_as_many_trials_wait_as_the_cluster_could_carry(edited):
    plan = planned(edited, "{cpus: 2}")
    live = [MachineSize(2, 0, 8, "of this Ray")]
    assert n_at_once(plan, live, None) == 1
    assert n_at_once(plan, live, FLEET) == 3 * 2
    assert n_at_once(plan, [MachineSize(2, 0, 8, "of this Ray")] * 9, FLEET) == 9


def test_trials_wait_where_no_machine_is_there_yet(edited):
    plan = planned(edited, "{gpus: 0.5}")
    assert n_at_once(plan, [MachineSize(0, 0, 8, "of this Ray")], FLEET) == 3 * 2
