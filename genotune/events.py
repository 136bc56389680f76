"""What can happen in a sweep: each event is one line of its journal."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

JOURNAL_FILE: Final = "journal.jsonl"
"""The journal, in the sweep's folder."""

Kind = Literal[
    "sweep_started",  # sweep, spec_sha256, facts (what the record says of the sweep: versions, host, files)
    "driver_started",  # pid
    "quality",  # of the data: counts and histograms, no IDs (data/quality.py)
    "learned_before",  # sweeps, trials (family, picks, curve, status of each) that the searcher starts from, notes
    "proposed",  # trial, family, picks, params, seed
    "started",  # trial, device
    "report",  # trial, epoch, value (null: not a number), metrics, checkpoint (a path relative to the sweep, or null)
    "decision",  # trial, epoch, action: continue | stop | pause, rung (null: no rung there), reason
    "generation",  # family, epoch: its trials go on; copies (trial, parent, picks, params): as changed copies of others
    "stop_asked",  # trial (null: all of them): a person wants it to stop
    "dropped",  # family, reason: its first trials all failed, so it gets no more
    "proposals_ended",  # reason: nothing is left to propose; or a person extends the sweep
    "extended",  # limits: those of the budget that a person raised, as they are from now on
    "ended",  # trial, status: complete | stopped | failed, reason
    "baseline",  # name, metrics on validation
    "delivered",  # upto: MLflow has every event up to this one
    "fold_scored",  # trial (a finalist), epoch, fold (from 0), n_folds, metrics on the fold that was held out
    "winner",  # trial, epoch, value, checkpoint
    "refitted",  # trial, epoch, model: the winner, fitted on training and validation; a path relative to the sweep
    "scored",  # split, subject: the winner or a baseline's name, metrics
    "tables",  # trial, files: the winner's tables in the sweep's folder; top: the most important features, or null
    "registered",  # name, version, run_id
    "interrupted",  # reason; what is live counts as killed until a resume starts it again
    "sweep_ended",  # status: complete | failed, reason
]


class Event(NamedTuple):
    """One line: its number from 1, seconds since 1970, what happened, and to what."""

    number: int
    time_s: float
    kind: Kind
    values: Mapping[str, Any]


FOUND_OUT_AGAIN: Final = frozenset({"started", "report", "ended", "delivered"})
"""Kinds that the disk isn't waited for: a trial that starts, reports its last epoch or ends once more, or that MLflow
is told of once more, comes to the same. A report's decision, which is waited for, follows it.
"""
