"""Families share hours by what their trials really cost."""

from genotune.tuning.sharing import family_behind


def test_a_family_with_less_than_half_of_an_equal_share_of_the_time_is_next():
    """Of 100 s between two families, half of an equal share is 25 s."""
    trials = {"cnn": 3, "ridge": 3}
    assert family_behind({"cnn": 76.0, "ridge": 24.0}, trials, most_trials=100) == "ridge"
    assert family_behind({"cnn": 75.0, "ridge": 25.0}, trials, most_trials=100) is None


def test_of_several_the_one_with_the_least_time_is_next():
    spent_s = {"cnn": 90.0, "trees": 8.0, "ridge": 2.0}
    assert family_behind(spent_s, dict.fromkeys(spent_s, 3), most_trials=100) == "ridge"


def test_a_cheap_family_is_sure_of_half_of_an_equal_share_of_the_trials_and_no_more():
    """Of 40 trials between two families, that is 10."""
    spent_s = {"cnn": 900.0, "ridge": 1.0}
    assert family_behind(spent_s, {"cnn": 5, "ridge": 9}, most_trials=40) == "ridge"
    assert family_behind(spent_s, {"cnn": 5, "ridge": 10}, most_trials=40) is None


def test_before_anything_has_run_nobody_is_behind():
    assert family_behind({"cnn": 0.0, "ridge": 0.0}, {"cnn": 0, "ridge": 0}, most_trials=10) is None
