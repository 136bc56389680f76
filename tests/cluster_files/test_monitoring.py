"""Prometheus' rules and Grafana's dashboard: well formed, about metrics that exist, and right on made-up series."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cluster_files.closed_schema import TEXT, TEXTS, closed, faults, items
from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

FOLDER = Path(__file__).parents[2] / "cluster" / "monitoring"
CASES = Path(__file__).parent / "rules_cases.yaml"
# What a driver exports (Ray puts `ray_` before a name, and `_total` behind a counter's), with its labels.
OURS = {
    "ray_genotune_trials": {"sweep", "state"},
    "ray_genotune_epochs_total": {"sweep", "family"},
    "ray_genotune_cost": {"sweep", "currency"},
    "ray_genotune_undelivered_events": {"sweep"},
    "ray_genotune_best_objective": {"sweep", "metric"},
}
RECORDED = {
    "genotune:epochs:per_hour": {"sweep", "family"},
    "genotune:trials:current": {"sweep", "state"},
    "genotune:gpus:utilization_ratio": set(),
}
LABELS = (
    OURS
    | RECORDED
    | {f"ray_{name}": {*map(str, gauge._view.columns), "instance"} for name, gauge in METRICS_GAUGES.items()}
)
_PANEL = closed(
    "id title description type datasource gridPos fieldConfig targets options",
    id={"type": "integer"},
    title=TEXT,
    description=TEXT,
    type={"enum": ["timeseries", "stat"]},
    datasource=closed("type uid", type={"const": "prometheus"}, uid={"const": "${source}"}),
    gridPos={"type": "object"},
    fieldConfig=closed("defaults overrides", defaults={"type": "object"}, overrides={"type": "array"}),
    targets=items(
        closed(
            "datasource expr legendFormat refId",
            datasource={"type": "object"},
            expr=TEXT,
            legendFormat=TEXT,
            refId={"type": "string", "pattern": "^[A-Z]$"},
        )
    ),
    options={"type": "object"},
)
_MONITOR = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "monitoring.coreos.com/v1"},
    kind={"const": "PodMonitor"},
    metadata=closed("name namespace", name=TEXT, namespace={"const": "genotune"}),
    spec=closed(
        "selector podMetricsEndpoints",
        selector=closed("matchLabels", matchLabels=TEXTS),
        podMetricsEndpoints=items(
            closed("port", port={"const": "metrics"}, interval=TEXT, relabelings={"type": "array"})
        ),
    ),
)


def rules():
    (group,) = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    return group["rules"]


def dashboard():
    return json.loads((FOLDER / "grafana-dashboard.json").read_text())


def queries():
    """(expression, labels that its legend or its words name) of the rules and the dashboard."""
    for rule in rules():
        words = " ".join(rule.get("annotations", {}).values())
        yield rule["expr"], set(re.findall(r"\$labels\.(\w+)", words))
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"], set(re.findall(r"{{(\w+)}}", target["legendFormat"]))


@pytest.fixture
def promtool():
    """Runs promtool in the folder of the rules."""
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool of Debian's package prometheus")

    def run(*arguments):
        done = subprocess.run(
            ["promtool", *map(str, arguments)], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_promtool_accepts_the_rules_and_the_configuration(promtool):
    for check in (["check", "rules", "rules.yaml"], ["check", "config", "--syntax-only", "prometheus.yaml"]):
        code, output = promtool(*check)
        assert code == 0, output


def test_the_alerts_say_what_they_should_of_made_up_series(promtool, tmp_path):
    shutil.copy(FOLDER / "rules.yaml", tmp_path)
    shutil.copy(CASES, tmp_path)
    code, output = promtool("test", "rules", tmp_path / CASES.name)
    assert code == 0, output


def test_every_alert_has_a_case():
    tested = set(re.findall(r"alertname: (\w+)", CASES.read_text()))
    assert tested == {rule["alert"] for rule in rules() if "alert" in rule}


def test_prometheus_understands_every_expression_of_the_dashboard(promtool, tmp_path):
    written = [
        {"record": f"panel:{number}", "expr": expression.replace("$sweep", ".*")}
        for number, (expression, _) in enumerate(queries())
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": written}]}))
    code, output = promtool("check", "rules", path)
    assert code == 0, output


def metrics_in(expression):
    return set(re.findall(r"\b(?:ray_\w+|genotune:[\w:]+)", expression))


def test_every_expression_is_about_metrics_that_ray_or_a_driver_exports():
    assert {rule["record"] for rule in rules() if "record" in rule} == set(RECORDED)
    for expression, _ in queries():
        assert metrics_in(expression), expression
        assert metrics_in(expression) <= set(LABELS), expression


def test_every_label_that_is_named_is_one_of_the_metric():
    for expression, shown in queries():
        there = set().union(*(LABELS[metric] for metric in metrics_in(expression)))
        chosen = set(re.findall(r"(\w+)=~?\"", expression))
        grouped = {label.strip() for part in re.findall(r"by \(([^)]*)\)", expression) for label in part.split(",")}
        assert chosen | grouped <= there, expression
        assert shown <= grouped | chosen, expression


def test_the_dashboard_shows_trials_epochs_gpus_and_cost_and_asks_which_source_it_has():
    shown = dashboard()
    assert [fault for panel in shown["panels"] for fault in faults(panel, _PANEL)] == []
    assert {"Trials by state", "Epochs per hour", "GPU use", "Cost"} <= {panel["title"] for panel in shown["panels"]}
    assert len({panel["id"] for panel in shown["panels"]}) == len(shown["panels"])
    assert [variable["name"] for variable in shown["templating"]["list"]] == ["source", "sweep"]


def test_panels_lie_side_by_side_and_not_on_one_another():
    taken = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_nodes_are_asked_of_the_head_with_its_token_and_on_kubernetes_by_their_label():
    (job,) = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    assert discovery["url"] == "http://127.0.0.1:8265/api/prometheus/sd"
    assert discovery["authorization"]["credentials_file"].endswith("ray_auth_token")
    monitor = yaml.safe_load((FOLDER / "kuberay-podmonitor.yaml").read_text())
    assert list(faults(monitor, _MONITOR)) == []
    assert monitor["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/part-of": "genotune"}
