"""A sweep held against a cluster file: where its trials fit, at what price, and what a preemption costs."""

import re

import pytest

from genotune.cluster_file import read_cluster_file
from genotune.cluster_forecast import forecast_on
from genotune.cluster_summary import cluster_lines, cluster_notes, cost_lines
from genotune.errors import ResourceError
from genotune.plan import make_plan
from genotune.spec import read_spec

FILE = """\
cluster_name: spots
max_workers: 10
provider:
  type: gcp
  prices:
    currency: USD
    cpu_hour: 0.05
    gpu_hour: 1
    memory_gib_hour: 0
    node_hours: {head: 0.1, driver: 0.3, cpu: 0.4, gpu_small: 1.0, gpu_large: 5.0}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {}}
  driver: {max_workers: 2, resources: {CPU: 0, driver: 1, memory: 17179869184}, node_config: {}}
  cpu: {min_workers: 1, max_workers: 4, resources: {CPU: 16, memory: 34359738368}, node_config: {}}
  gpu_small:
    max_workers: 3
    resources: {CPU: 4, GPU: 1, memory: 17179869184}
    node_config: {scheduling: [{preemptible: true}]}
  gpu_large:
    max_workers: 2
    resources: {CPU: 32, GPU: 4, memory: 137438953472}
    node_config: {scheduling: [{preemptible: true}]}
"""
MANY = ("budget: {trials: 5}\ntrials: {concurrent: 1}", "budget: {trials: 500}\nstorage: checkpoints")


@pytest.fixture
def cluster(tmp_path):
    """Reads the file, with each pair of changes made in it."""

    def read(*changes):
        text = FILE
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "aws.yaml").write_text(text)
        return read_cluster_file(tmp_path / "aws.yaml")

    return read


@pytest.fixture
def planned(edited):
    """The plan of the tiny spec with 500 trials that ask for so much."""

    def plan(resources, *changes):
        asking = ("objective:", f"resources: {{poisson_cnn: {resources}}}\nobjective:")
        return make_plan(read_spec(edited(MANY, asking, *changes)))

    return plan


def fit_of(plan, cluster):
    return forecast_on(plan, cluster).families["poisson_cnn"]


def test_a_trial_fits_the_types_that_have_all_it_asks_for(cluster, planned):
    fit = fit_of(planned("{cpus: 2, gpus: 1, memory_gib: 16}"), cluster())
    assert fit.workers == {"gpu_small": 1, "gpu_large": 4}
    assert fit.room == fit.at_once == 3 * 1 + 2 * 4


def test_trials_share_a_gpu(cluster, planned):
    fit = fit_of(planned("{cpus: 1, gpus: 0.25}"), cluster())
    assert fit.workers == {"gpu_small": 4, "gpu_large": 16}
    assert fit.room == 3 * 4 + 2 * 16


def test_workers_of_a_trial_are_spread_over_machines(cluster, planned):
    fit = fit_of(planned("{workers: 5, cpus: 2, gpus: 1}"), cluster())
    assert (fit.workers, fit.room) == ({"gpu_small": 1, "gpu_large": 4}, 2)


def test_no_more_run_at_once_than_the_sweep_has_or_allows(cluster, edited):
    resources = ("objective:", "resources: {poisson_cnn: {gpus: 1}}\nobjective:")
    two = make_plan(read_spec(edited(resources, ("{concurrent: 1}", "{concurrent: 2}"))))
    assert fit_of(two, cluster())[1:] == (11, 2)
    all_five = make_plan(read_spec(edited(("trials: {concurrent: 2}\n", ""))))
    assert fit_of(all_five, cluster())[1:] == (11, 5)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (
            "{cpus: 6, gpus: 8}",
            r"a trial asks for 6 CPUs, 8 GPUs; no node type of \S+aws\.yaml has that\. The nearest is gpu_large with "
            r"32 CPUs, 4 GPUs, 128 GiB\. Write gpus: 4 at most, or add a node type\.$",
        ),
        ("{cpus: 40}", r"The nearest is gpu_large with .* Write cpus: 32 at most"),
        ("{cpus: 64, memory_gib: 256}", r"The nearest is gpu_large with .* Write cpus: 32 and memory_gib: 128 at most"),
        ("{cpus: 5, gpus: 0.5, memory_gib: 129}", r"nearest is gpu_large .* Write memory_gib: 128 at most"),
        (
            "{workers: 12, cpus: 1, gpus: 1}",
            r"asks for 12 workers with 1 CPUs, 1 GPUs each; with \S+aws\.yaml there is room for 11 of them, on "
            r"gpu_small, gpu_large\. Ask for fewer workers, or raise max_workers\.$",
        ),
    ],
)
def test_a_trial_that_fits_no_type_is_refused_with_what_is_nearest_and_the_fix(cluster, planned, resources, message):
    plan = planned(resources)
    with pytest.raises(ResourceError, match=rf"^{re.escape(str(plan.spec.path))}: resources\.poisson_cnn: .*{message}"):
        forecast_on(plan, cluster())


def test_a_type_that_is_never_started_is_not_near(cluster, planned):
    with pytest.raises(ResourceError, match=r"The nearest is gpu_small with 4 CPUs, 1 GPUs"):
        forecast_on(
            planned("{gpus: 4}"),
            cluster(("max_workers: 2\n    resources: {CPU: 32", "max_workers: 0\n    resources: {CPU: 32")),
        )


def test_types_whose_cpus_are_not_known_are_named_where_nothing_else_fits(cluster, planned):
    unknown = cluster(("{CPU: 32, GPU: 4, memory: 137438953472}", "{}"))
    with pytest.raises(
        ResourceError, match=r"nearest is gpu_small .* What gpu_large has is not known: write its resources"
    ):
        forecast_on(planned("{gpus: 4}"), unknown)


def test_a_store_that_the_drivers_machine_can_not_build_is_refused(cluster, planned):
    plan, known = planned("{cpus: 1}"), cluster()
    twice_gib = 2 * plan.data.store_nbytes / 2**30
    types = {one.name: one for one in known.fleet.types}

    def with_driver_of(memory_gib):
        types["driver"] = types["driver"]._replace(memory_gib=memory_gib)
        return known._replace(fleet=known.fleet._replace(types=tuple(types.values())))

    message = r"data\.\S+: the store takes .*; node type driver, on which the driver builds it, has 0\.0 GiB"
    with pytest.raises(ResourceError, match=message):
        forecast_on(plan, with_driver_of(0.9 * twice_gib))
    forecast_on(plan, with_driver_of(twice_gib))
    notes = forecast_on(plan, with_driver_of(None)).notes
    assert "the memory of driver, on which the driver builds the store, is not in the file." in notes


def notes_of(plan, cluster):
    return cluster_notes(plan, cluster, forecast_on(plan, cluster))


def test_nothing_is_noted_where_all_is_well(cluster, planned):
    assert notes_of(planned("{gpus: 1}"), cluster()) == []


def test_trials_on_the_head_and_beside_the_driver_are_noted(cluster, planned):
    changes = [("{resources: {CPU: 0}", "{resources: {CPU: 2}"), ("{CPU: 0, driver: 1", "{CPU: 2, driver: 1")]
    plan = planned("{cpus: 1}")
    of_head, of_driver = notes_of(plan, cluster(*changes))
    assert of_head.startswith("trials may run on the head (head), which all others wait for.")
    assert of_driver.startswith("trials may run on driver too, beside the driver:")
    # Of ten machines one is the driver's, so that no second of its type has room.
    assert fit_of(plan, cluster(*changes)).room == 2 + 2 + 4 * 16 + 3 * 4 + 2 * 32


def test_memory_that_is_not_known_is_noted_and_nothing_refused(cluster, planned):
    known = cluster(("{CPU: 32, GPU: 4, memory: 137438953472}", "{CPU: 32, GPU: 4}"))
    plan = planned("{gpus: 1, memory_gib: 500}")
    assert fit_of(plan, known).workers == {"gpu_large": 4}
    [note] = notes_of(plan, known)
    assert note == "the memory of gpu_large is not in the file: whether trials fit there is not known."


def test_checkpoints_that_would_die_with_their_machine_are_noted(cluster, edited, monkeypatch):
    monkeypatch.delenv("GENOTUNE_STORAGE", raising=False)
    plan = make_plan(read_spec(edited()))
    [note] = notes_of(plan, cluster())
    assert note.startswith("storage is null: on a cluster checkpoints must outlive a machine. Write storage: s3://...")
    monkeypatch.setenv("GENOTUNE_STORAGE", "s3://bucket/sweeps")
    assert notes_of(plan, cluster()) == []


def test_a_search_that_sees_no_trial_end_is_noted(cluster, planned):
    plan = planned("{gpus: 1}", ("trials: 500", "trials: 11"))
    [note] = notes_of(plan, cluster())
    assert note.startswith("all 11 trials find room at once, so that the search learns from none.")


def test_a_search_that_learns_nothing_anyway_is_not_told_so(cluster, planned):
    assert notes_of(planned("{gpus: 1}", ("trials: 500", "trials: 11"), ("kind: tpe", "kind: random")), cluster()) == []


def lines_of(plan, cluster, **named):
    return cluster_lines(plan, cluster, forecast_on(plan, cluster), **named)


def test_the_price_is_that_of_what_always_runs_and_of_all_that_trials_start(cluster, planned):
    lines = lines_of(planned("{gpus: 1}", ("trials: 500", "trials: 500, hours: 2")), cluster(), n_sweeps=3)
    largest = 0.1 + 0.3 + 0.4 + 3 * 1.0 + 2 * 5.0
    words = (
        f"at most {largest:.2f} USD an hour while its trials run (1 head, 1 driver, 1 cpu, 3 gpu_small, 2 gpu_large)"
    )
    assert f"price: 0.50 USD an hour idle (1 head, 1 cpu), {words}" in lines
    assert f"estimate: up to {2 * largest:.2f} USD in its 2 h; of 3 such sweeps {6 * largest:.2f} USD" in lines


def test_a_sweep_of_few_trials_starts_no_more_machines_than_those(cluster, edited):
    resources = ("objective:", "resources: {poisson_cnn: {gpus: 1}}\nobjective:")
    plan = make_plan(read_spec(edited(resources, ("{concurrent: 1}", "{concurrent: 2}"))))
    assert forecast_on(plan, cluster()).largest == {"head": 1, "driver": 1, "cpu": 1, "gpu_small": 0, "gpu_large": 2}


def test_without_prices_or_with_one_that_lacks_the_price_is_said_to_be_unknown(cluster, planned):
    plan = planned("{gpus: 1}")
    table = FILE[FILE.index("  prices:") : FILE.index("head_node_type")]
    assert "price: not known; the file has no prices" in lines_of(plan, cluster((table, "")))
    some = cluster(("    gpu_hour: 1\n", ""), (", gpu_small: 1.0", ""))
    fix = "price: not known of gpu_small; add node_hours: {gpu_small: ..} to the prices"
    assert fix in lines_of(plan, some)


def test_a_budget_of_money_lasts_for_so_many_hours_of_trials(cluster, planned):
    plan = planned("{cpus: 2, gpus: 1}", ("trials: 500", "trials: 500, cost: 22 USD"))
    assert cost_lines(plan, cluster()) == [
        "cost: an hour of a trial of poisson_cnn is 1.1 USD",
        "cost: 22 USD last for so many of them: 20 of poisson_cnn",
    ]


def test_a_preemption_costs_each_trial_on_the_machine_its_epoch_at_most(cluster, planned):
    lines = lines_of(planned("{gpus: 0.5}"), cluster())
    assert [line for line in lines if line.startswith(("preemption", "  without", "  poisson"))] == [
        "preemption: a spot machine of gpu_small carries up to 2 trials of poisson_cnn",
        "preemption: a spot machine of gpu_large carries up to 8 trials of poisson_cnn",
        "  without notice each loses at most the epoch it is in, and goes on from its last checkpoint",
    ]


def test_a_trial_of_one_epoch_begins_again(cluster, planned):
    lines = lines_of(planned("{gpus: 0.5}", ("max_epochs: 4", "max_epochs: 1")), cluster())
    assert lines[-1] == "  poisson_cnn: fitted in one epoch, so such a trial begins again"
    assert not any("without notice" in line for line in lines)


def test_a_trial_on_folds_loses_the_epoch_of_all_of_them(cluster, planned):
    folds = ("storage: checkpoints", "storage: checkpoints\ntrials: {folds: 2}")
    lines = lines_of(planned("{gpus: 0.5}", folds), cluster())
    assert lines[-1].startswith("  without notice each loses at most the epoch (on all 2 folds) it is in")


def test_a_cluster_without_spot_machines_has_no_preemptions(cluster, planned):
    never = [("[{preemptible: true}]", "[]")] * 2
    assert not any("preemption" in line for line in lines_of(planned("{gpus: 0.5}"), cluster(*never)))
