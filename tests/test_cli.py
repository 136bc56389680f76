"""The command line: what a person types, what comes back, and the exit code."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

MICE = Path(__file__).parents[1] / "search_spaces" / "demo" / "mouse_hs1940"


def cpu_seconds(command):
    """CPU time of a finished process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_names_every_command(genotune):
    result = genotune("--help")
    assert result.returncode == 0
    for command in ("new", "check", "run", "resume", "list", "status", "stop", "logs", "sync", "predict", "ui"):
        assert command in result.stdout


def test_help_costs_less_than_half_a_second_of_cpu():
    """CPU time, not the clock; the best of three, since a cold cache is not ours."""
    assert min(cpu_seconds([sys.executable, "-m", "genotune.cli", "--help"]) for _ in range(3)) < 0.5


def test_check_prints_the_plan_and_decodes_nothing(genotune, tiny):
    result = genotune("check", tiny)
    assert result.returncode == 0, result.stderr
    for words in (
        "tiny can run",
        "chrA",
        "40,000",
        "12,000",
        "5 trials",
        "rungs at 1, 2",
        "1 CPUs and 0 GPUs",
        "store:",
    ):
        assert words in result.stdout
    assert sorted(path.name for path in tiny.parent.iterdir() if not path.name.endswith((".fai",))) == [
        "genome.fa",
        "sites.bw",
        "tiny.yaml",
    ]


def test_every_fault_of_a_spec_is_told_at_once_with_its_line(genotune, edited):
    spec = edited(
        ("channels: {choice", "chanels: {choice"), ("trials: 5", "trials: five"), ("metric: pearson", "metric: pearsn")
    )
    result = genotune("check", spec)
    assert result.returncode == 2
    assert "tiny.yaml:15: params.chanels: poisson_cnn has no such setting. Did you mean 'channels'?" in result.stderr
    assert "tiny.yaml:22: budget.trials: found the text 'five'; expected a whole number." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "stem_width: 9",
            "stem_widht: 9",
            r"params.stem_widht: poisson_cnn has no such setting. Did you mean 'stem_width'?",
        ),
        (
            "reference: genome.fa",
            "referense: genome.fa",
            "data.referense: data has no such setting. Did you mean 'reference'?",
        ),
        ("stem_width: 9", "stem_width: nine", "params.stem_width: found the text 'nine'; expected a whole number."),
        ("stem_width: 9", 'learning_rate: "1e-4"', "stands here twice"),
        ("[1.0e-3, 3.0e-2]", '["1e-4", 3.0e-2]', "1e-4"),
        ("family: poisson_cnn", "family: poison_cnn", "unknown family 'poison_cnn'. Did you mean 'poisson_cnn'?"),
        ("{choice: [2, 4]}", "{choice: []}", "params.channels"),
        ("{int: [0, 1]}", "{int: [3, 1]}", "params.n_blocks"),
        ("[1.0e-3, 3.0e-2]", "[0, 3.0e-2]", "params.learning_rate"),
        ("{int: [0, 1]}", "{int: [-2, 1]}", "params.n_blocks"),
        ("reference: genome.fa", "reference: genom.fa", "genom.fa"),
        ("path: sites.bw", "path: site.bw", "site.bw"),
        ("validation: [chrB]", "validation: [chrX]", "chrX"),
        ("validation: [chrB]", "validation: []", "validation"),
        ("test: [chrC]", "test: [chrB]", "chrB"),
        ("metric: pearson", "metric: auroc", "auroc is for a binary target, this one is signal."),
        ("metric: pearson", "metric: pearsonr", "unknown metric 'pearsonr'. Did you mean 'pearson'?"),
        (
            "bin_bp: 16}",
            "bin_bp: 24}",
            "objective.bin_bp: found 24; must be a whole multiple of data.resolution_bp (16), e.g. 32.",
        ),
        ("      bin_bp: 16", "      bin_bp: 24", "params.bin_bp"),
        ("length_bp: 256", "length_bp: 50000", "params.windows"),
        ("kind: tpe", "kind: tbe", "Did you mean 'tpe'?"),
        ("kind: tpe", "kind: grid", "params.learning_rate"),
        ("kind: bigwig", "kind: bigvig", "bigwig"),
        ("{concurrent: 1}", "{concurrent: 0}", "trials.concurrent: found 0; must be at least 1."),
        (
            "budget: {trials: 5}",
            "budget: {trials: 5}\nresources: {poisson_cnn: {cpus: 4000}}",
            "a trial asks for 4000 CPUs",
        ),
        (
            "budget: {trials: 5}",
            "budget: {trials: 5}\nresources: {rigde: {cpus: 1}}",
            "resources.rigde: no model of this family",
        ),
        ("budget: {trials: 5}", "budget: {trials: 5}\nbudget: {trials: 6}", "'budget' stands here twice"),
        ("search: {", "search: [", "not YAML"),
    ],
)
def test_a_mistake_is_answered_with_a_message_and_exit_code_2(genotune, edited, old, new, message):
    result = genotune("check", edited((old, new)))
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_number_in_quotation_marks_is_told_how_to_be_written(genotune, edited):
    result = genotune("check", edited(("stem_width: 9", "stem_width: 9\n      dropout: '1e-4'")))
    assert result.returncode == 2
    assert (
        "params.dropout: found the text '1e-4'; expected a number. Write the number without quotation marks: 0.0001."
        in result.stderr
    )


def test_a_number_in_scientific_notation_is_a_number(genotune, edited):
    assert genotune("check", edited(("stem_width: 9", "stem_width: 9\n      dropout: 1e-4"))).returncode == 0


def test_a_spec_that_is_not_there_is_told_plainly(genotune):
    result = genotune("run", "nothing.yaml")
    assert result.returncode == 2
    assert "nothing.yaml: no such file" in result.stderr


def test_a_word_that_is_no_command_exits_with_2(genotune):
    assert genotune("rum").returncode == 2


def test_new_writes_a_spec_that_check_accepts(genotune, tiny, tmp_path):
    out = tmp_path / "mine.yaml"
    result = genotune("new", "sites.bw", "genome.fa", "-o", out)
    assert result.returncode == 0, result.stderr
    assert genotune("check", out).returncode == 0
    again = genotune("new", "sites.bw", "genome.fa", "-o", out)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_new_writes_a_spec_of_genotypes_once_it_knows_the_trait(genotune, tmp_path):
    files = [MICE / "mouse_hs1940.bed", MICE / "phenotypes.tsv"]
    asked = genotune("new", *files)
    assert asked.returncode == 2
    assert "which column is the trait? Give --trait: CD8 (quantitative), MCH" in asked.stderr
    result = genotune("new", *files, "--trait", "CD8", "-o", "mice.yaml")
    assert result.returncode == 0, result.stderr
    checked = genotune("check", tmp_path / "mice.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "sweep mice can run" in checked.stdout


def test_resume_of_an_unknown_sweep_says_what_is_there(genotune):
    result = genotune("resume", "ghost")
    assert result.returncode == 2
    assert "ghost: no such sweep" in result.stderr
    assert "There: none" in result.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("trials=many", "--extend trials=many: found the text 'many'; expected a whole number."),
        ("scheduler=none", "--extend scheduler=none: 'scheduler' can't be raised."),
    ],
)
def test_a_limit_that_can_not_be_raised_is_told_before_anything_is_looked_for(genotune, option, message):
    result = genotune("resume", "nothing", "--extend", option)
    assert result.returncode == 2
    assert message in result.stderr


def test_prices_are_shown_by_check_and_asked_for_by_run(genotune, edited, tmp_path):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 5, cost: 20 USD, plateau: {trials: 3}}"))
    (tmp_path / "cluster.yaml").write_text("cluster_name: x\nprovider: {prices: {currency: USD, cpu_hour: 0.5}}\n")
    without = genotune("check", spec)
    assert without.returncode == 0, without.stderr
    assert "note budget.cost needs prices: name a cluster file" in without.stdout
    checked = genotune("check", spec, "--cluster", tmp_path / "cluster.yaml").stdout
    words = (
        "budget: 5 trials or 20 USD, whichever comes first; no more after 3 that did not improve the best objective\n"
    )
    assert words + "cost: an hour of a trial of poisson_cnn is 0.5 USD\n" in checked
    refused = genotune("run", spec)
    assert refused.returncode == 2
    assert "tiny.yaml:22: budget.cost: found 20 USD, and the prices are not known." in refused.stderr
    assert not (tmp_path / ".genotune").exists()


def test_the_console_script_is_installed():
    assert os.access(Path(sys.executable).parent / "genotune", os.X_OK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--table", "expr.tsv"], "--table expr.tsv: no NAME=PATH. Write e.g. --table expression=expr.tsv."),
        (["--table", "a=b.tsv", "--table", "a=c.tsv"], "--table a=c.tsv: a is named twice. Remove one."),
    ],
)
def test_a_further_table_has_a_name_and_a_path(genotune, tmp_path, options, message):
    result = genotune("predict", tmp_path, tmp_path / "x.bed", *options)
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")


BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}
AT_THE_END = "cli._exit_code = lambda: sys.stdout.write('x') * 0; "
"""Something that is printed and has not left when the work is done."""


def ends_with(stdout, code):
    """The exit code and the last words of a command that prints there."""
    command = [sys.executable, "-c", f"import sys; from genotune import cli; {code}cli.main()", "--help"]
    ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=BUFFERED, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, where nothing finds room")
@pytest.mark.parametrize("code", ["", AT_THE_END], ids=["at once", "at the end"])
def test_what_cannot_be_printed_is_not_called_done(code):
    with Path("/dev/full").open("w") as full:
        assert ends_with(full, code)[0] == 2


def test_a_reader_who_has_gone_when_the_work_is_done_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        assert ends_with(closed, AT_THE_END) == (0, "")
