import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from genotune.data import AnySourceSettings
from genotune.data.new_bigwig_spec import choose_splits
from genotune.data.new_spec import write_spec
from genotune.errors import DataError
from genotune.genome.splits import SplitSettings
from genotune.settings import build

YEAST = {"chrI": 230, "chrII": 813, "chrIII": 317, "chrIV": 1532, "chrV": 577, "chrVI": 270, "chrX": 746, "chrM": 86}
HUMAN_LIKE = {**{f"chr{n}": 250 - 10 * n for n in range(1, 20)}, "chrX": 150, "chrY": 57, "chrUn_1": 1, "chrM": 1}


def shares(contigs):
    splits = choose_splits(contigs)
    return [sum(contigs[name] for name in names) / sum(contigs.values()) for names in splits]


def test_most_bases_train_and_about_a_third_is_held_out():
    train, validation, test = shares(HUMAN_LIKE)
    assert train > 0.6
    assert 0.08 < validation < 0.16
    assert 0.15 < test < 0.25


def test_odd_contigs_are_not_held_out():
    held_out = {*choose_splits(HUMAN_LIKE).validation, *choose_splits(HUMAN_LIKE).test}
    assert not held_out & {"chrX", "chrY", "chrUn_1", "chrM", "chr1"}


def test_chromosome_ten_of_yeast_is_not_taken_for_a_sex_chromosome():
    splits = choose_splits(YEAST)
    assert "chrX" in {*splits.validation, *splits.test}


def test_three_contigs_make_three_splits():
    assert choose_splits({"a": 10, "b": 9, "c": 8}) == (("a",), ("c",), ("b",))


def test_fewer_than_three_contigs_cant_be_split():
    with pytest.raises(DataError, match="2 contigs are large enough to hold out as a whole, three are wanted"):
        choose_splits({"chr1": 100, "chr2": 100, "chrM": 10})


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 10_000), min_size=3))
def test_chosen_splits_are_always_sound(contigs):
    try:
        splits = choose_splits(contigs)
    except DataError:
        return
    named = [name for names in splits for name in names]
    assert sorted(named) == sorted(contigs)
    assert all(splits)


def test_the_spec_of_the_demo_data_fits_the_demo_data(demo, tmp_path):
    out = tmp_path / "my specs" / "first try.yaml"
    text = write_spec([demo / "cutsites.bw", demo / "sacCer3.fa.gz", demo / "exclude.bed"], out)
    assert out.read_text() == text
    spec = yaml.safe_load(text)
    assert (spec["name"], spec["data"]["resolution_bp"]) == ("first-try", 32)
    assert list(spec["data"]["tracks"]) == ["cutsites"]
    assert not Path(spec["data"]["reference"]).is_absolute()
    plan = build(AnySourceSettings, spec["data"]).plan(out.parent)
    assert len(plan.excluded.starts) == 1
    split = build(SplitSettings, spec["split"])
    assert plan.split_problems(split) == []
    assert 0.6 < sum(plan.outline(plan.resolve(split).train).contig_lengths) / 12_071_326 < 0.75


def test_every_line_that_says_something_new_is_explained(demo, tmp_path):
    text = write_spec([demo / "cutsites.bw", demo / "sacCer3.fa.gz"], tmp_path / "x.yaml")
    plain = [line for line in text.splitlines() if "#" not in line]
    known = r"(name|data|  kind|models|  by|    cutsites|      windows):?"
    assert [line for line in plain if not re.match(known, line)] == []


def test_tracks_of_another_naming_style_get_the_setting_that_mends_it(files, build_bigwig):
    values = {contig[3:]: signal for contig, signal in files.values["a"].items()}
    track = build_bigwig(files.folder / "1 a.bw", values)
    text = write_spec([track, track, files.folder / "ref.fa"], files.folder / "x.yaml")
    data = yaml.safe_load(text)["data"]
    assert (data["contig_names"], list(data["tracks"])) == ("ensembl", ["1_a", "1_a_2"])
    build(AnySourceSettings, data).plan(files.folder)


def test_values_below_zero_are_refused(files, build_bigwig):
    track = build_bigwig(files.folder / "ratio.bw", {"chrI": np.full(1003, -0.5)})
    with pytest.raises(DataError, match=r"ratio\.bw: holds values below zero, which a Poisson model can't"):
        write_spec([track, files.folder / "ref.fa"], files.folder / "x.yaml")


def test_faults_name_the_files_as_they_were_typed(files, monkeypatch):
    monkeypatch.chdir(files.folder)
    with pytest.raises(DataError, match=r"^none\.fa: no such file"):
        write_spec([Path("a.bw"), Path("none.fa")], Path("x.yaml"))
    assert not Path("x.yaml").exists()
