"""A search-space file is read whole: what it may say, and every fault at once with its line."""

import re

import pytest

from builders import SPEC
from genotune.errors import SpecError
from genotune.spec import read_spec

NESTED = """\
      schedule:
        choice:
          - kind: constant
          - kind: plateau
            patience: {int: [1, 5]}
            factor: {uniform: [0.1, 0.5]}
"""
AFTER_STEM = "      stem_width: 9\n"
MODELS = SPEC[SPEC.index("models:") : SPEC.index("search:")]


def changed(*changes):
    text = SPEC
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def read(tmp_path):
    def call(text):
        path = tmp_path / "tiny.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_spec(path)

    return call


@pytest.fixture
def faults(read, tmp_path):
    """The lines of the error, without the folder; each must name the file and a line."""

    def call(text):
        with pytest.raises(SpecError, match=r"tiny\.yaml:\d+: ") as caught:
            read(text)
        found = [line.removeprefix(f"{tmp_path}/") for line in caught.value.lines]
        for line in found:
            assert re.match(r"tiny\.yaml:[1-9]\d*: \S", line), line
        return found

    return call


def test_a_file_gives_its_settings_and_its_space(read):
    spec = read(SPEC)
    assert spec.settings.name == "tiny"
    assert list(spec.space) == ["poisson_cnn"]
    assert list(spec.space["poisson_cnn"].domains) == ["channels", "n_blocks", "learning_rate"]
    assert spec.epochs_of("poisson_cnn") == 4
    assert spec.epochs_of("ridge") == 1


PLINK = """\
name: mice
data: {kind: plink, genotypes: mice.bed, phenotypes: mice.tsv, trait: CD8, missing: [NA, -9]}
split: {by: column, column: sire, validation: 0.2, test: 0.2}
models:
  - family: ridge
    params: {penalty: {log_uniform: [0.1, 10]}}
  - family: boosted_trees
    params: {max_depth: {int: [2, 4]}, n_variants: {choice: [10, null]}}
search: {kind: random}
scheduler: {kind: none, max_epochs: 2}
budget: {trials: 5}
"""


def test_a_family_has_the_settings_of_the_data_that_the_spec_names(read, faults):
    spec = read(PLINK)
    assert spec.settings.data.missing == ("NA", "-9")
    assert spec.trainable_kind("ridge").title == "GBLUP"
    assert read(changed(("search:", "  - family: ridge\nsearch:"))).trainable_kind("ridge").title == "k-mer ridge"
    assert faults(PLINK.replace("penalty:", "flank_bp:")) == [
        "tiny.yaml:6: params.flank_bp: ridge has no such setting. Allowed: n_variants, prepare, penalty, standardize, "
        "table_share."
    ]


def test_a_family_that_can_not_read_the_data_is_refused_with_those_that_can(faults):
    assert faults(PLINK.replace("family: ridge", "family: poisson_cnn")) == [
        "tiny.yaml:5: family: poisson_cnn needs the columns 'sequence', 'signal', which this source doesn't give. "
        "Families that can use it: boosted_trees, ridge, elastic_net, genotype_cnn, covariates_only."
    ]


def test_a_source_is_split_by_what_it_is_made_of(faults):
    by_contig = PLINK.replace("{by: column, column: sire, validation: 0.2, test: 0.2}", CONTIG_SPLIT)
    assert faults(by_contig) == [
        "tiny.yaml:3: split.by: found contig; the source plink is split by samples: write by: column, family or random."
    ]
    by_family = changed((CONTIG_SPLIT, "{by: family, validation: 0.2, test: 0.2}"))
    assert faults(by_family) == [
        "tiny.yaml:9: split.by: found family; the source bigwig is split by contigs: write by: contig, contig_group, "
        "track or homology."
    ]


CONTIG_SPLIT = "{by: contig, validation: [chrB], test: [chrC]}"


def test_a_fault_of_a_split_by_column_is_told_at_its_own_key(faults):
    assert faults(PLINK.replace("validation: 0.2", "validation: 1.2")) == [
        "tiny.yaml:3: split.validation: found 1.2; must be a share of the samples between 0 and 1, e.g. 0.2. "
        "A list of groups will do too."
    ]
    assert faults(PLINK.replace("column: sire, ", "")) == ["tiny.yaml:3: split.column: is missing, and has no default."]


def test_an_objective_that_the_set_kind_of_trait_does_not_have_is_refused(faults):
    text = PLINK.replace("trait: CD8", "trait: CD8, trait_kind: binary") + "objective: {metric: pearson, bin_bp: 32}\n"
    metric, bins = faults(text)
    assert metric.startswith("tiny.yaml:12: objective.bin_bp: found 32; samples are scored one by one, not in bins.")
    assert bins.startswith("tiny.yaml:12: objective.metric: pearson is for a")


def test_a_line_end_of_windows_and_a_byte_order_mark_change_nothing(read):
    expected = read(SPEC).settings
    assert read(SPEC.replace("\n", "\r\n")).settings == expected
    assert read("\ufeff" + SPEC).settings == expected


def test_an_option_of_a_choice_may_have_domains_of_its_own(read):
    template = read(changed((AFTER_STEM, AFTER_STEM + NESTED))).space["poisson_cnn"]
    assert {"schedule", "schedule[1].patience", "schedule[1].factor"} <= set(template.domains)
    parent = template.parents["schedule[1].factor"]
    assert parent is not None
    assert (parent.name, parent.option) == ("schedule", 1)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("0.5]", "1.5]", "23: params.schedule.choice[1].factor: found 1.5; must be less than 1.0."),
        ("[0.1", "[0", "23: params.schedule.choice[1].factor: found 0.0; must be more than 0.0."),
        (
            "patience",
            "patiens",
            "22: params.schedule.choice[1].patiens: schedule has no such setting. Did you mean 'patience'?",
        ),
        ("plateau", "plato", "21: params.schedule.choice[1]: found the text 'plato'. Did you mean 'plateau'?"),
        (
            "[1, 5]",
            "[5, 1]",
            "22: params.schedule.choice[1].patience.int: found [5, 1], the higher end first. Write int: [1, 5].",
        ),
    ],
)
def test_a_fault_within_an_option_is_told_at_its_own_line(faults, old, new, fault):
    assert faults(changed((AFTER_STEM, AFTER_STEM + NESTED.replace(old, new)))) == [f"tiny.yaml:{fault}"]


def test_all_faults_within_an_option_are_told_at_once(faults):
    nested = NESTED.replace("[1, 5]", "[0, 5]").replace("0.5]", "2]")
    found = faults(changed((AFTER_STEM, AFTER_STEM + nested)))
    assert [line.split(": ")[0] for line in found] == ["tiny.yaml:22", "tiny.yaml:23"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ("[0, 99]", ["found 99; must be at most 32."]),
        ("[-1, 2]", ["found -1; must be at least 0."]),
        ("[-1, 99]", ["found -1; must be at least 0.", "found 99; must be at most 32."]),
    ],
)
def test_a_range_is_checked_at_both_ends(faults, bounds, expected):
    found = faults(changed(("{int: [0, 1]}", f"{{int: {bounds}}}")))
    assert found == [f"tiny.yaml:16: params.n_blocks: {message}" for message in expected]


def test_each_option_of_a_choice_is_checked(faults):
    assert faults(changed(("{choice: [2, 4]}", "{choice: [2, 0, many]}"))) == [
        "tiny.yaml:15: params.channels.choice[1]: found 0; must be at least 1.",
        "tiny.yaml:15: params.channels.choice[2]: found the text 'many'; expected a whole number.",
    ]


def test_a_fixed_value_is_checked_as_a_domain_is(faults):
    assert faults(changed(("stem_width: 9", "stem_width: 8"))) == [
        "tiny.yaml:17: params.stem_width: found 8; must be odd, so that the filter has a middle, e.g. 9."
    ]


def test_faults_in_several_places_are_told_at_once_in_the_order_of_the_file(faults):
    found = faults(
        changed(
            ("channels", "chanels"),
            ("stem_width: 9", "stem_width: 8"),
            ("trials: 5", "trials: five"),
            ("metric: pearson", "metric: pearsn"),
            ("kind: asha", "kind: ashes"),
            ("resolution_bp: 16", "resolution_bp: 0"),
        )
        + "resources: {poisson_cnn: {cpu: 1}, rigde: {cpus: 1}}\n"
    )
    assert [line.removeprefix("tiny.yaml:") for line in found] == [
        "7: data.resolution_bp: found 0; must be at least 1.",
        "15: params.chanels: poisson_cnn has no such setting. Did you mean 'channels'?",
        "17: params.stem_width: found 8; must be odd, so that the filter has a middle, e.g. 9.",
        "20: scheduler: found the text 'ashes'. Did you mean 'asha'?",
        "21: objective.metric: unknown metric 'pearsn'. Did you mean 'pearson'?",
        "22: budget.trials: found the text 'five'; expected a whole number.",
        "24: resources.poisson_cnn.cpu: resources.poisson_cnn has no such setting. Did you mean 'cpus'?",
        "24: resources.rigde: no model of this family in `models`. Allowed: poisson_cnn.",
    ]


def test_several_workers_are_for_families_that_can_and_have_whole_gpus(faults, read):
    ridge = ("search:", "  - family: ridge\nsearch:")
    resources = "resources: {poisson_cnn: {workers: 2, gpus: 0.5}, ridge: {workers: 2}}\n"
    assert faults(changed(ridge) + resources) == [
        "tiny.yaml:25: resources.poisson_cnn.gpus: found 0.5; workers of one trial can't share a GPU. "
        "Give each a whole one, or none.",
        "tiny.yaml:25: resources.ridge.workers: found 2; a k-mer ridge is fitted by one process. Write workers: 1.",
    ]
    resources = "resources: {poisson_cnn: {workers: 2, gpus: 1}, ridge: {workers: 1, gpus: 0.5}}\n"
    assert read(changed(ridge) + resources).settings.resources_of("poisson_cnn").workers == 2


def test_a_family_may_stand_once(faults):
    text = changed(("search:", "  - family: poisson_cnn\n    params: {}\nsearch:"))
    assert faults(text) == [
        "tiny.yaml:19: family: poisson_cnn stands here twice; put both into one entry, with `choice`."
    ]


def test_a_family_without_params_has_its_defaults(read):
    assert read(changed(("search:", "  - family: ridge\nsearch:"))).space["ridge"].domains == {}


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ("models: []\n", "10: models: found an empty list; must have at least 1."),
        ("models:\n", "10: models: found nothing (null); expected a list."),
        ("models: {family: ridge}\n", "10: models: found a mapping (key: value); expected a list."),
        ("", "1: models: is missing, and has no default."),
        ("models: [ridge]\n", "10: models[0]: found the text 'ridge'; expected a mapping (key: value)."),
        ("models:\n  - params: {}\n", "11: family: is missing, and has no default."),
        ("models:\n  - family: true\n", "11: family: found true; expected text."),
        (
            "models:\n  - family: ridge\n    params:\n",
            "12: params: found nothing (null); expected a mapping (key: value).",
        ),
        (
            "models:\n  - family: ridge\n    params: [1]\n",
            "12: params: found a list of 1; expected a mapping (key: value).",
        ),
    ],
)
def test_models_that_are_none_are_told(faults, models, fault):
    assert faults(changed((MODELS, models))) == [f"tiny.yaml:{fault}"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "", "# nothing yet\n", "hello", "3"])
def test_a_file_that_is_no_mapping_is_told(faults, text):
    assert faults(text) == ["tiny.yaml:1: the file must be a mapping (name: ..., data: ..., models: ...)."]


def test_a_file_that_is_not_utf_8_is_told_with_the_line(faults):
    assert faults(SPEC.encode() + b"# caf\xe9\n") == ["tiny.yaml:24: not text in UTF-8; a search-space file is YAML."]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("trials: 5", "trials: 5, hours: .inf", "22: budget.hours: found inf; expected a finite number."),
        ("trials: 5", "trials: !!int abc", "22: found abc, which can't be read as a number."),
        (
            "trials: 5",
            f"trials: {'9' * 5000}",
            "22: found 999999999999... (5000 characters), which can't be read as a number.",
        ),
        (
            "{concurrent: 1}",
            "{concurrent: 1}\nstorage: ftp://me:hush@host/sweeps",
            "24: storage: found 'ftp://***@host/sweeps'; write a folder, file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
        ),
        (
            "{concurrent: 1}",
            "{concurrent: 1}\nstorage: s3://",
            "24: storage: found 's3://'; write a folder, file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
        ),
        (
            "{concurrent: 1}",
            "{concurrent: 1}\nstorage: ''",
            "24: storage: found an empty text; name a folder, file:///FOLDER, s3://BUCKET/PREFIX or "
            "gs://BUCKET/PREFIX, or remove it.",
        ),
        (
            "name: tiny",
            "name: my sweep!",
            "1: name: found the text 'my sweep!'; must begin with a letter or digit and go on with letters, digits, "
            "dots, dashes and underscores, 100 at most. Write my-sweep.",
        ),
        ("name: tiny", 'name: "\\ud800"', "1: holds half of a character (\\ud800 to \\udfff). Write it whole."),
    ],
)
def test_a_value_that_nobody_can_run_with_is_told(faults, old, new, fault):
    assert faults(changed((old, new))) == [f"tiny.yaml:{fault}"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file. `genotune new DATA... -o .*spec.yaml` writes a first one"),
        (lambda path: path.mkdir(), "a folder; give the search-space file in it"),
    ],
)
def test_a_path_that_is_no_file_is_told(tmp_path, make, message):
    path = tmp_path / "spec.yaml"
    make(path)
    with pytest.raises(SpecError, match=f"spec.yaml: {message}"):
        read_spec(path)


def test_a_path_below_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match=r"file/spec.yaml: can't be read: Not a directory\."):
        read_spec(tmp_path / "file" / "spec.yaml")
