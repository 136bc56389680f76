"""Amounts as Kubernetes writes them."""

import pytest
from ray.autoscaler._private.kuberay.utils import parse_quantity as as_ray_reads_it

from genotune.quantities import parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [("4", 4), ("500m", 0.5), ("16Gi", 16 * 2**30), ("16G", 16e9), ("1.5Ti", 1.5 * 2**40), ("2e3", 2000), ("-1", -1)],
)
def test_a_quantity_is_read_as_ray_reads_it(text, amount):
    assert parse_quantity(text) == pytest.approx(amount) == pytest.approx(float(as_ray_reads_it(text)))


@pytest.mark.parametrize("text", ["4 cores", "16GiB", "", "Gi", "four", "1.2.3"])
def test_what_is_no_quantity_is_none(text):
    assert parse_quantity(text) is None
