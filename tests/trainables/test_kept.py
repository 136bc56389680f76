"""What a process keeps between trials."""

import gc
import weakref

import pytest

from genotune.trainables.kept import Kept


def counting(made, what):
    def make():
        made.append(what)
        return [what]

    return make


def test_a_thing_is_made_once_for_a_key(store):
    kept, made = Kept(most=2), []
    first = kept.get(store, ("a", 1), make=counting(made, "x"))
    assert kept.get(store, ("a", 1), make=counting(made, "y")) is first
    assert kept.get(store, ("a", 2), make=counting(made, "z")) == ["z"]
    assert made == ["x", "z"]


def test_stores_are_told_apart_by_identity(make_store):
    kept, made = Kept(most=1), []
    one, other = make_store([500]), make_store([500])
    for store in (one, other, one, other):
        kept.get(store, "key", make=counting(made, id(store)))
    assert made == [id(one), id(other)]


def test_the_longest_unused_thing_goes_first(store):
    kept, made = Kept(most=2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        kept.get(store, key, make=counting(made, key))
    assert made == ["a", "b", "c", "b"]


def test_there_are_never_more_than_most_even_while_one_is_made(store):
    class Thing:
        pass

    kept, alive = Kept(most=1), []
    first = weakref.ref(kept.get(store, "a", make=Thing))

    def make():
        gc.collect()
        alive.append(first())
        return Thing()

    kept.get(store, "b", make=make)
    assert alive == [None]


def test_with_the_store_goes_what_was_made_from_it(make_store):
    class Thing:
        pass

    kept, store = Kept(most=2), make_store([500])
    thing = weakref.ref(kept.get(store, "a", make=Thing))
    assert thing() is not None
    del store
    gc.collect()
    assert thing() is None


def test_what_could_not_be_made_is_tried_again(store):
    def fail():
        raise OSError("no memory")

    kept = Kept(most=2)
    with pytest.raises(OSError, match="no memory"):
        kept.get(store, "a", make=fail)
    assert kept.get(store, "a", make=lambda: 5) == 5
