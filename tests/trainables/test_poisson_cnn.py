"""Settings of the CNN: what they allow, and what must go into what."""

import pytest
from pydantic import ValidationError

from genotune.settings import build
from genotune.store import SequenceOutline
from genotune.trainables.losses import LINKS_OF, LOSSES_OF, Loss, default_loss, link_of
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.sequence_network import PlateauSchedule

DATA = SequenceOutline(32, ("cuts",), (9000, 5003))


def settings(**values):
    return build(PoissonCNN, {"family": "poisson_cnn", **values})


def test_the_defaults_fit_a_source_at_32_bp():
    assert settings().problems(DATA) == []


def test_the_kind_of_a_schedule_says_which_settings_it_has():
    plateau = settings(schedule={"kind": "plateau", "patience": 3, "factor": 0.5}).schedule
    assert plateau == PlateauSchedule(patience=3, factor=0.5)
    with pytest.raises(ValidationError, match="factor"):
        settings(schedule={"kind": "cosine", "factor": 0.5})
    with pytest.raises(ValidationError, match="'cosine', 'plateau', 'constant'"):
        settings(schedule={"kind": "cosin"})


@pytest.mark.parametrize("name", ["stem_width", "kernel_width"])
def test_a_filter_without_a_middle_is_refused(name):
    with pytest.raises(ValidationError, match=r"found 4; must be odd, so that the filter has a middle, e\.g\. 5"):
        settings(**{name: 4})


@pytest.mark.parametrize(
    "values",
    [{"learning_rate": 0}, {"dropout": 1}, {"channels": 0}, {"batch_size": 0}, {"patience": 0}, {"warmup": 0.6}],
)
def test_values_out_of_bounds_are_refused(values):
    with pytest.raises(ValidationError, match=next(iter(values))):
        settings(**values)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("pooling", ["max", "mean", "attention"]),
        ("normalisation", ["batch", "group", "layer", "none"]),
        ("activation", ["relu", "gelu", "silu"]),
        ("stem_activation", ["none", "relu", "exponential"]),
        ("head", ["per_bin", "profile_total"]),
    ],
)
def test_a_choice_is_one_of_those_it_lists(name, choices):
    for choice in choices:
        assert getattr(settings(**{name: choice}), name) == choice
    with pytest.raises(ValidationError, match=" or ".join([f"'{choices[-2]}'", f"'{choices[-1]}'"])):
        settings(**{name: "other"})


def test_dilations_grow_until_a_filter_spans_half_of_the_window():
    assert settings(n_blocks=6).dilations() == (1, 2, 4, 8, 8, 8)
    assert settings(n_blocks=3, dilation_growth=3).dilations() == (1, 3, 8)
    assert settings(n_blocks=2, windows={"length_bp": 32, "stride_bp": 32}).dilations() == (1, 1)
    assert settings(n_blocks=3, kernel_width=1).dilations() == (1, 2, 4)


@pytest.mark.parametrize(
    ("kind", "loss", "link"),
    [("signal", "poisson", "softplus"), ("binary", "bce", "sigmoid"), ("multiclass", "categorical", "softmax")],
)
def test_what_the_tracks_hold_says_the_usual_loss_and_link(kind, loss, link):
    assert default_loss(kind).kind == loss == LOSSES_OF[kind][0]
    assert settings().link(kind) == link


@pytest.mark.parametrize(
    ("loss", "link"),
    [("poisson_multinomial", "softplus"), ("mse", "affine"), ("weighted_mse", "affine"), ("poisson", "softplus")],
)
def test_a_loss_has_its_usual_link(loss, link):
    assert link_of(build(Loss, loss)) == link
    assert settings(loss=loss).link("signal") == link


def test_every_loss_has_links():
    assert set(LINKS_OF) == {kind for kinds in LOSSES_OF.values() for kind in kinds}


def test_a_profile_and_a_total_are_logarithms_of_rates():
    assert settings(head="profile_total", loss="poisson_multinomial").link("signal") == "exp"


def test_a_profile_and_a_total_are_not_for_labels():
    assert settings(head="profile_total", loss="poisson_multinomial").problems(DATA) == []
    assert settings(head="profile_total", loss="mse").problems(DATA) == []
    [problem] = settings(head="profile_total").problems(DATA._replace(kind="binary"))
    assert problem.path == ("head",)
    assert problem.message == (
        "found profile_total with loss bce; it gives rates, which the losses poisson, poisson_multinomial, mse, "
        "weighted_mse take. Use per_bin."
    )
    assert settings(head="per_bin").problems(DATA._replace(kind="binary")) == []


def test_a_loss_that_does_not_fit_the_tracks_is_said_once():
    [problem] = settings(head="profile_total", loss="bce").problems(DATA)
    assert problem.path == ("loss",)
