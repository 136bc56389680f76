"""One domain as a search-space file writes it, `{log_uniform: [1.0e-4, 1.0e-2]}`, and all that can be wrong in it."""

import difflib
import json
import math
from collections.abc import Mapping
from typing import Final, TypeGuard

from genotune.errors import Problem, describe
from genotune.tuning.domains import Domain, FloatRange, IntRange, Pick, exact, n_steps

YamlPath = tuple[str | int, ...]

CHOICE: Final = "choice"
STEP: Final = "step"
_STEPPED: Final = ("uniform", "int")
_WHOLE: Final = ("int", "log_int")
_LOG: Final = ("log_uniform", "log_int")
WORDS: Final = ("uniform", "log_uniform", "int", "log_int", CHOICE)
_LARGEST_WHOLE: Final = 2**53
"""Beyond it not every whole number is a float, which a search computes in."""


def domain_word(mapping: Mapping[str, object]) -> str | None:
    """The first domain word among the keys; None for a mapping that is no domain."""
    return next((key for key in mapping if key in WORDS), None)


def misspelt_word(mapping: Mapping[str, object]) -> str | None:
    """The domain word that the only key of a mapping was meant to be, as far as one can tell."""
    if len(mapping) != 1:
        return None
    ((key, value),) = mapping.items()
    if not isinstance(value, list):
        return None
    return next(iter(difflib.get_close_matches(key.lower(), WORDS, n=1, cutoff=0.8)), None)


def key_problems(mapping: Mapping[str, object], word: str, path: YamlPath) -> list[Problem]:
    """The keys that may not stand beside a domain word."""
    allowed = (word, STEP) if word in _STEPPED else (word,)
    return [
        Problem((*path, key), _extra_key_message(key, word, allowed=allowed)) for key in mapping if key not in allowed
    ]


def option_problems(options: object, path: YamlPath) -> list[Problem]:
    """What is wrong with the options of a choice, what lies within them left aside."""
    if not isinstance(options, list):
        return [Problem(path, f"found {describe(options)}; a choice is a list of options: choice: [a, b].")]
    if not options:
        return [Problem(path, "found an empty list; a choice needs at least one option: choice: [a, b].")]
    problems, first_places = [], dict[str, int]()
    for index, option in enumerate(options):
        first = first_places.setdefault(json.dumps(option, sort_keys=True), index)
        if first != index:
            problems.append(Problem((*path, index), f"the same as option {first + 1} of this choice; keep one."))
    return problems


def read_range(mapping: Mapping[str, object], word: str, path: YamlPath) -> Domain | list[Problem]:
    """The range of numbers that a mapping describes, or all that is wrong with it.

    Args:
        mapping: the ends under `word`, and possibly a step.
        word: any domain word but `choice`.
        path: of the mapping.
    """
    problems = key_problems(mapping, word, path)
    ends = mapping[word]
    if not isinstance(ends, list) or len(ends) != 2:
        message = f"found {describe(ends)}; must be the two ends, both included: {word}: [low, high]."
        return [*problems, Problem((*path, word), message)]
    faults = [(index, number_fault(end, whole=word in _WHOLE)) for index, end in enumerate(ends)]
    problems += [Problem((*path, word, index), fault) for index, fault in faults if fault]
    step = mapping.get(STEP) if word in _STEPPED else None
    step_fault = _step_fault(step, whole=word in _WHOLE) if STEP in mapping and word in _STEPPED else None
    if step_fault:
        problems.append(Problem((*path, STEP), step_fault))
    low, high = ends
    if not _is_number(low) or not _is_number(high) or any(fault for _, fault in faults):
        return problems
    order_fault = _order_fault(low, high, word=word)
    if order_fault:
        problems.append(Problem((*path, word), order_fault))
    elif word in _LOG and low <= 0:
        problems.append(Problem((*path, word, 0), f"found {low}; {_log_advice(word)}"))
    elif step_fault is None and _is_number(step):
        fault = _uneven_step_fault(low, high, step=step)
        problems += [Problem((*path, STEP), fault)] if fault else []
    if problems:
        return problems
    log = word in _LOG
    if word in _WHOLE:
        return IntRange(int(low), int(high), log=log, step=int(step) if _is_number(step) else 1)
    return FloatRange(float(low), float(high), log=log, step=float(step) if _is_number(step) else None)


def number_fault(found: object, *, whole: bool) -> str | None:
    """Why this is not a number that a range can end at, and what to write; None if it is one."""
    expected = "a whole number" if whole else "a number"
    if not _is_number(found):
        return f"found {describe(found)}; must be {expected}.{_text_advice(found)}"
    if isinstance(found, int) and abs(found) > _LARGEST_WHOLE:
        return f"found {describe(found)}; must lie within 2 to the power of 53."
    if not math.isfinite(found):
        return f"found {found}; must be finite."
    if whole and not isinstance(found, int):
        return f"found {found}; must be a whole number, e.g. {round(found)}."
    return None


def _is_number(found: object) -> TypeGuard[Pick]:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _extra_key_message(key: str, word: str, *, allowed: tuple[str, ...]) -> str:
    if key in WORDS:
        return f"stands beside {word!r}; a domain is one of them. Keep one."
    if key == STEP:
        return f"{word} takes no step; uniform and int do. Leave it out, or list the values: choice: [a, b]."
    near = difflib.get_close_matches(key, allowed, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else "Leave it out, or put it into the options of a choice."
    return f"may not stand beside {word!r}. {advice}"


def _text_advice(found: object) -> str:
    if not isinstance(found, str):
        return ""
    try:
        number = float(found)
    except ValueError:
        return ""
    return f" Write the number without quotation marks: {number:.10g}." if math.isfinite(number) else ""


def _step_fault(step: object, *, whole: bool) -> str | None:
    fault = number_fault(step, whole=whole)
    if fault is None and _is_number(step) and step <= 0:
        return f"found {step}; must be more than 0."
    return fault


def _order_fault(low: Pick, high: Pick, *, word: str) -> str | None:
    if low == high:
        return f"both ends are {low}; there is nothing to search. Write the value itself: {low}."
    if low > high:
        return f"found [{low}, {high}], the higher end first. Write {word}: [{high}, {low}]."
    if not math.isfinite(high - low):
        return f"found [{low}, {high}]; too wide to be computed with."
    return None


def _log_advice(word: str) -> str:
    if word == "log_int":
        return "a log range starts at 1 or above. Use int for a range that holds 0."
    return "a log range starts above 0, e.g. at 1.0e-6. Use uniform for a range that holds 0."


def _uneven_step_fault(low: Pick, high: Pick, *, step: Pick) -> str | None:
    n_whole = n_steps(low, high, step=step)
    if n_whole > _LARGEST_WHOLE:
        return f"found {step}; so many steps from {low} to {high} can't be told apart. Leave the step out."
    last = exact(low) + n_whole * exact(step)
    if last == exact(high):
        return None
    beyond = last + exact(step)
    shorter = f"[{low}, {last}] or " if n_whole else ""
    return (
        f"steps of {step} from {low} never reach {high}, and both ends are included. "
        f"Write the range {shorter}[{low}, {beyond}], or another step."
    )
