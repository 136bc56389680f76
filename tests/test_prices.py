"""The prices of a cluster file, and what a trial costs by them."""

import pytest

from genotune.errors import SpecError
from genotune.plan import make_plan
from genotune.prices import Prices, read_prices, trial_hour_costs
from genotune.spec import read_spec

PRICES = Prices(currency="USD", cpu_hour=0.04, gpu_hour=2.5, memory_gib_hour=0.005)
CLUSTER = """\
cluster_name: spot
provider:
  type: aws
  prices: {currency: USD, cpu_hour: 0.04, gpu_hour: 2.5, memory_gib_hour: 0.005}
available_node_types: {}
"""


def cluster(tmp_path, text=CLUSTER):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def test_the_table_stands_under_the_provider_beside_what_is_rays(tmp_path):
    assert read_prices(cluster(tmp_path)) == PRICES


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  prices: {",
            "  price: {",
            r":2: provider\.prices: there are no prices in this cluster file\. Add",
        ),
        (
            "gpu_hour",
            "gpus_hour",
            r":4: provider\.prices\.gpus_hour: .* no such setting\. Did you mean 'gpu_hour'",
        ),
        ("0.04", "-1", r":4: provider\.prices\.cpu_hour: found -1; must be at least 0\.0\."),
        ("USD", "dollars", r":4: provider\.prices\.currency: found the text 'dollars'; must be the three"),
        ("cpu_hour: 0.04, ", "", r":4: provider\.prices\.cpu_hour: is missing, and has no default\."),
        ("provider:", "provider: [", r"not YAML"),
    ],
)
def test_a_fault_of_the_table_is_told_with_its_line(tmp_path, old, new, message):
    path = cluster(tmp_path, CLUSTER.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as error:
        read_prices(path)
    assert str(error.value).startswith(f"{path}:")


def test_machines_may_have_prices_of_their_own(tmp_path):
    text = CLUSTER.replace("0.005}", "0.005, node_hours: {gpu: 1.2}}")
    assert read_prices(cluster(tmp_path, text)).node_hours == {"gpu": 1.2}


ANNOTATED = """\
apiVersion: ray.io/v1
kind: RayCluster
metadata:
  name: spot
  annotations:
    genotune/prices: "{currency: USD, cpu_hour: 0.04, gpu_hour: 2.5, memory_gib_hour: 0.005}"
spec: {}
"""


def test_of_kuberay_the_table_is_the_text_of_an_annotation(tmp_path):
    assert read_prices(cluster(tmp_path, ANNOTATED)) == PRICES


def test_a_manifest_without_the_annotation_is_told_how_to_write_it(tmp_path):
    message = r":5: metadata\.annotations\.genotune/prices: there are no prices .* Add them, e\.g\. metadata: \{annot"
    with pytest.raises(SpecError, match=message):
        read_prices(cluster(tmp_path, ANNOTATED.replace("genotune/prices", "genotune/price")))


def test_a_cluster_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SpecError, match=r"cluster\.yaml: no such file"):
        read_prices(tmp_path / "cluster.yaml")


def priced(edited, *changes):
    return make_plan(read_spec(edited(("budget: {trials: 5}", "budget: {trials: 5, cost: 20 USD}"), *changes)))


def test_an_hour_of_a_trial_costs_all_that_its_workers_take(edited):
    resources = "resources: {poisson_cnn: {workers: 2, cpus: 4, gpus: 1, memory_gib: 16}}\nobjective:"
    plan = priced(edited, ("objective:", resources))
    each = 4 * 0.04 + 2.5 + 16 * 0.005
    assert trial_hour_costs(plan, PRICES) == {"poisson_cnn": pytest.approx(2 * each)}


def test_a_cost_without_prices_is_refused_with_the_fix(edited):
    with pytest.raises(
        SpecError, match=r"tiny\.yaml:22: budget\.cost: found 20 USD, .* not known\. Name .* --cluster FILE"
    ):
        trial_hour_costs(priced(edited), None)


def test_a_cost_in_another_currency_is_refused(edited):
    message = r"tiny\.yaml:22: budget\.cost: found 20 USD; the prices of the cluster file are in EUR\. Write the cost"
    with pytest.raises(SpecError, match=message):
        trial_hour_costs(priced(edited), PRICES.model_copy(update={"currency": "EUR"}))


def test_a_gpu_without_a_price_is_refused(edited):
    plan = priced(edited, ("objective:", "resources: {poisson_cnn: {gpus: 0.5}}\nobjective:"))
    message = r"resources\.poisson_cnn\.gpus: found 0\.5, and the cluster file has no price of a GPU\. Add"
    with pytest.raises(SpecError, match=message):
        trial_hour_costs(plan, PRICES.model_copy(update={"gpu_hour": None}))


def test_without_a_cost_no_prices_are_needed(edited):
    assert trial_hour_costs(make_plan(read_spec(edited())), None) == {}
