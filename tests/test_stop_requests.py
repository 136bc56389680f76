"""What a person asks of a sweep from another terminal."""

from genotune.stop_requests import StopRequests, ask_to_stop, clear_requests, read_requests


def test_a_sweep_of_which_nothing_was_asked_goes_on(tmp_path):
    assert read_requests(tmp_path) == StopRequests(None, frozenset())


def test_trials_and_the_sweep_may_be_asked_to_stop_and_asking_twice_is_asking_once(tmp_path):
    for wanted in (3, 12, 3, "choose"):
        ask_to_stop(tmp_path, wanted)
    assert read_requests(tmp_path) == StopRequests("choose", frozenset({3, 12}))


def test_an_interrupt_goes_before_a_choice(tmp_path):
    for wanted in ("choose", "interrupt"):
        ask_to_stop(tmp_path, wanted)
    assert read_requests(tmp_path).sweep == "interrupt"


def test_what_was_asked_of_an_earlier_driver_is_forgotten(tmp_path):
    ask_to_stop(tmp_path, "interrupt")
    clear_requests(tmp_path)
    assert read_requests(tmp_path) == StopRequests()
