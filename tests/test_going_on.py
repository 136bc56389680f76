"""A file that says something else than the sweep that it began, and limits that are raised."""

import pytest
from test_run_torch_module import MODELS, NET
from test_sweep_group import SPEC as GROUP_SPEC

from builders import SPEC
from genotune.errors import SweepError
from genotune.going_on import AS_IT_STANDS, GoingOn, agreed_limits
from genotune.spec import read_spec, read_sweeps

FIX = r"Put it back, or start a new sweep with `genotune run`\."
AS_IT_BEGAN = r"To go on with what it began with: genotune resume tiny-1 --as-it-began\."


@pytest.fixture
def kept(tmp_path):
    """The spec that a sweep began with; its file lies there still."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return read_spec(tmp_path / "tiny.yaml")


def rewrite(kept, *changes):
    text = kept.text
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    kept.path.write_text(text)


def agree(kept, going_on=AS_IT_STANDS, *, before=(), **where):
    return agreed_limits(kept, before, going_on, sweep="tiny-1", **where)


def test_comments_the_order_of_keys_and_defaults_that_are_written_out_are_no_change(kept):
    rewrite(
        kept,
        ("name: tiny", "# a comment\nname: tiny"),
        ("{kind: tpe, seed: 3}", "{seed: 3, kind: tpe, n_startup_trials: 8}"),
        ("[1.0e-3, 3.0e-2]", "[0.001, 0.03]"),
    )
    assert agree(kept) == {}


def test_a_file_that_is_gone_is_no_change(kept):
    kept.path.unlink()
    assert agree(kept) == {}


def test_every_setting_that_is_another_is_told_with_what_it_was_and_is(kept):
    rewrite(
        kept,
        ("trials: 5", "trials: 8"),
        ("channels: {choice: [2, 4]}", "channels: {choice: [2, 8]}"),
        ("      stem_width: 9\n", ""),
        ("metric: pearson", "metric: spearman"),
    )
    with pytest.raises(SweepError, match=FIX + " " + AS_IT_BEGAN) as error:
        agree(kept)
    assert str(error.value).splitlines()[:-1] == [
        f"{kept.path}: no longer says what tiny-1 began with:",
        "  models[0].params.channels.choice: [2, 4] when the sweep began, [2, 8] now",
        "  models[0].params.stem_width: 9 when the sweep began, not there now",
        "  objective.metric: pearson when the sweep began, spearman now",
        "  budget.trials: 5 when the sweep began, 8 now",
    ]


def test_with_raised_limits_alone_the_option_that_raises_them_is_named(kept):
    rewrite(kept, ("budget: {trials: 5}", "budget: {trials: 8}"))
    with pytest.raises(
        SweepError, match=r"To raise these limits of the sweep: genotune resume tiny-1 --extend trials=8\."
    ):
        agree(kept)
    assert agree(kept, GoingOn({"trials": 8})) == {"trials": 8}
    assert agree(kept, before=[{"trials": 8}]) == {}
    assert agree(kept, before=[{"trials": 8}, {"trials": 9}]) == {}
    with pytest.raises(SweepError, match=r"budget\.trials: 5 when the sweep began, 8 now"):
        agree(kept, GoingOn({"trials": 9}))


def test_a_person_may_go_on_with_what_it_began_with(kept):
    rewrite(kept, ("trials: 5", "trials: 3"))
    with pytest.raises(SweepError, match=r"budget\.trials: 5 when the sweep began, 3 now") as error:
        agree(kept)
    assert "--extend" not in str(error.value), "a limit is never lowered"
    assert agree(kept, GoingOn({"trials": 7}, as_it_began=True)) == {"trials": 7}


def test_a_limit_that_was_raised_before_is_not_lowered(kept):
    with pytest.raises(SweepError, match="--extend trials=7: it is 9 now, and a limit can only be raised"):
        agree(kept, GoingOn({"trials": 7}), before=[{"trials": 9}])


def test_a_file_that_is_broken_now_is_told_with_its_faults(kept):
    rewrite(kept, ("trials: 5", "trails: 5"))
    with pytest.raises(
        SweepError, match=r"(?s)tiny\.yaml:22: budget\.trails: .* another file when tiny-1 began\. " + FIX
    ):
        agree(kept)


def test_a_login_in_a_setting_is_not_shown(kept):
    rewrite(kept, ("budget:", "tracking: {uri: 'http://me:secret@host'}\nbudget:"))
    with pytest.raises(SweepError, match=r"tracking\.uri: null when the sweep began, http://\*\*\*@host now") as error:
        agree(kept)
    assert "secret" not in str(error.value)


def test_python_code_that_is_another_is_told_by_its_first_other_line(kept):
    (kept.folder / "nets" / "other").mkdir(parents=True)
    (kept.folder / "nets" / "net.py").write_text(NET)
    (kept.folder / "nets" / "other" / "net.py").write_text(NET.replace("Net(", "Other("))
    rewrite(kept, (SPEC[SPEC.index("models:") : SPEC.index("search:")], MODELS))
    of_module = read_spec(kept.path)
    assert agree(of_module) == {}
    (kept.folder / "nets" / "net.py").write_text(NET.replace("9, padding", "11, padding"))
    with pytest.raises(SweepError, match=AS_IT_BEGAN) as error:
        agree(of_module)
    before, now = ("self.filters = nn.Conv1d(4, channels, " + width + ', padding="same")' for width in ("9", "11"))
    assert f"  nets/net.py:7: {before!r} when the sweep began, {now!r} now\n" in str(error.value)


def test_a_group_is_held_against_its_file_and_each_setting_told_once(group, tmp_path):
    assert agree(group) == {}
    assert agree(group, GoingOn({"trials": 9})) == {"trials": 9}
    group.path.write_text(group.text.replace("trials: 2", "trials: 4").replace("weight, length", "weight, height"))
    with pytest.raises(SweepError, match="no longer says what tiny-1 began with") as error:
        agree(group)
    assert str(error.value).splitlines()[1:-1] == [
        "  budget.trials: 2 when the sweep began, 4 now",
        "  the sweep of length: one of the group when the sweep began, not one of it now",
        "  the sweep of height: not one of it when the sweep began, one of the group now",
    ]
    weight = group.members[0].spec
    with pytest.raises(SweepError, match=r"budget\.trials: 2 when the sweep began, 4 now"):
        agree(weight, member="weight")
    with pytest.raises(SweepError, match="the sweep: described there when the sweep began, not there now"):
        agree(group.members[1].spec, member="length")


def test_a_population_gets_no_more_trials_but_more_hours(kept):
    scheduler = ("{kind: asha, max_epochs: 4, reduction_factor: 2}", "{kind: pbt, max_epochs: 4, population: 5}")
    rewrite(kept, scheduler, ("{trials: 5}", "{trials: 5, hours: 1}"))
    of_population = read_spec(kept.path)
    with pytest.raises(SweepError, match=r"--extend trials=9: scheduler pbt .* Start a new sweep\."):
        agree(of_population, GoingOn({"trials": 9}))
    assert agree(of_population, GoingOn({"hours": 2.0})) == {"hours": 2.0}


@pytest.fixture
def group(tmp_path):
    """A group of two sweeps, one for each trait."""
    text = GROUP_SPEC.format(traits="[weight, length]", split="test: 0.25")
    (tmp_path / "mice.yaml").write_text(text)
    return read_sweeps(tmp_path / "mice.yaml")
