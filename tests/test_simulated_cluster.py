"""The simulation of what a driver can take runs a real sweep: each trial once, so many at once, ASHA's shares."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from genotune.journal import JOURNAL_FILE, Journal, read_events

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
N_TRIALS, N_AT_ONCE, MAX_EPOCHS = 500, 50, 9


@pytest.fixture(scope="module")
def cluster():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import simulated_cluster
    finally:
        sys.path.remove(str(BENCHMARKS))
    return simulated_cluster


@pytest.fixture(scope="module")
def simulated(cluster, tmp_path_factory):
    """Runs a sweep in a folder of its own: a function from the search's kind and a seed."""

    def run(*, search="random", seed=1, n_trials=N_TRIALS):
        folder = tmp_path_factory.mktemp(search)
        scheduler = {"kind": "asha", "max_epochs": MAX_EPOCHS}
        load = cluster.Load(n_trials, N_AT_ONCE, {"kind": search}, scheduler, seed=seed)
        return folder, load, cluster.simulate(folder, load)

    return run


@pytest.fixture(scope="module")
def whole(simulated):
    return simulated()


def events_of(folder):
    return list(read_events(folder / JOURNAL_FILE))


def test_every_trial_begins_and_ends_once_and_no_more_than_asked_for_run_at_once(whole):
    folder, _, parts = whole
    n_running, most, counts = 0, 0, {kind: Counter() for kind in ("proposed", "started", "ended")}
    for event in events_of(folder):
        if event.kind in counts:
            counts[event.kind][event.values["trial"]] += 1
        n_running += (event.kind == "started") - (event.kind == "ended")
        most = max(most, n_running)
    for of_trials in counts.values():
        assert of_trials == dict.fromkeys(range(N_TRIALS), 1)
    assert (n_running, most) == (0, N_AT_ONCE)
    assert parts[-1].n_ended == N_TRIALS


def test_a_third_of_the_trials_at_a_rung_go_on_with_random_search(whole):
    folder, _, _ = whole
    with Journal(folder) as journal:
        trials = journal.state.trials.values()
    for rung in (1, 3):
        actions = Counter(trial.decisions[rung] for trial in trials if rung in trial.decisions)
        assert actions["continue"] / actions.total() == pytest.approx(1 / 3, abs=0.06), rung
    assert all(trial.epoch == MAX_EPOCHS for trial in trials if trial.status == "complete")


def test_time_is_the_clusters_own_and_never_goes_back(whole):
    """A median epoch of a minute: trials of at most 9 epochs, 50 at once, take some hours there."""
    folder, load, _ = whole
    times_s = [event.time_s for event in events_of(folder)]
    assert times_s == sorted(times_s)
    n_reports = sum(event.kind == "report" for event in events_of(folder))
    assert times_s[-1] - times_s[0] > 0.5 * n_reports * load.epoch_s / N_AT_ONCE


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_the_same_seed_gives_the_same_journal_and_another_seed_another(simulated, search):
    written = [(simulated(search=search, seed=seed, n_trials=80)[0] / JOURNAL_FILE).read_bytes() for seed in (1, 1, 2)]
    assert written[0] == written[1]
    assert written[0] != written[2]


def test_a_resume_after_the_end_finds_nothing_to_do(whole, cluster):
    folder, load, _ = whole
    before = (folder / JOURNAL_FILE).read_bytes()
    with Journal(folder) as journal:
        assert cluster.controller_on(journal, load).next_task() == "finished"
    assert (folder / JOURNAL_FILE).read_bytes() == before
