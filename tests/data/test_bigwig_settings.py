"""What a spec may say of tracks; a fault names the keys that lead to it in the file."""

import pytest
from pydantic import ValidationError

from genotune.data.bigwig_settings import BigWigSettings
from genotune.genome.track_transforms import Arcsinh, NoTransform, Scale
from genotune.settings import build
from genotune.spec.messages import problems_of

SIGNALS = {"plus": {"path": "p.bw"}, "minus": {"path": "m.bw"}}
LABELS = {"a": {"peaks": "a.bed"}, "b": {"peaks": "b.narrowPeak"}}


def settings(**values):
    return build(BigWigSettings, {"kind": "bigwig", "reference": "r.fa", "resolution_bp": 32, **values})


def fault(**values):
    """The one fault: its path, dotted, and its message."""
    with pytest.raises(ValidationError, match=r"1 validation error") as caught:
        settings(**values)
    (problem,) = problems_of(caught.value, BigWigSettings, name="bigwig")
    return ".".join(map(str, problem.path)), problem.message


def test_what_is_predicted_follows_from_what_the_tracks_are_made_of():
    assert settings(tracks=SIGNALS).known_target == "signal"
    assert settings(tracks=LABELS).known_target == "binary"
    assert settings(tracks=LABELS, labels="multiclass").known_target == "multiclass"


def test_a_transform_is_one_step_or_several():
    tracks = {**SIGNALS, "minus": {"path": "m.bw", "transform": [{"kind": "scale", "depth": 2.0}, "arcsinh"]}}
    assert [track.transform for track in settings(tracks=tracks).tracks.values()] == [
        (NoTransform(),),
        (Scale(depth=2.0), Arcsinh()),
    ]


@pytest.mark.parametrize(
    ("said", "files"), [(None, ()), ("x.bed", ("x.bed",)), (["x.bed", "y.bed"], ("x.bed", "y.bed"))]
)
def test_one_bed_or_several_are_excluded(said, files):
    assert settings(tracks=SIGNALS, exclude=said).exclude == files


def test_what_a_file_was_resolved_to_reads_as_the_same_settings():
    values = {"tracks": SIGNALS, "strands": [["plus", "minus"]], "exclude": "x.bed", "peaks": {"p": {"path": "p.bed"}}}
    first = settings(**values)
    assert build(BigWigSettings, first.model_dump(mode="json")) == first


@pytest.mark.parametrize("track", [{}, {"path": "a.bw", "peaks": "a.bed"}])
def test_a_track_is_made_of_one_file(track):
    assert fault(tracks={"a": track}) == (
        "tracks.a",
        "a track takes either `path`, a bigWig, or `peaks`, a BED or narrowPeak for labels.",
    )


def test_signals_and_labels_are_not_mixed():
    assert fault(tracks={**SIGNALS, **LABELS}) == (
        "tracks",
        "a sweep predicts signals or labels, not both: 'plus' and 'minus' by `path`, 'a' and 'b' by `peaks`. "
        "Keep those of one kind.",
    )


def test_labels_have_no_values_to_transform():
    assert fault(tracks={"a": {"peaks": "a.bed", "transform": "log1p"}}) == (
        "tracks.a.transform",
        "a track of peaks is a label, and has no values to transform. Remove the transform.",
    )
    assert settings(tracks={"a": {"peaks": "a.bed", "transform": "none"}}).known_target == "binary"


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"tracks": SIGNALS, "labels": "binary"}, "labels", "found binary, but no track is made of peaks. Remove it, "),
        ({"tracks": {"a": {"peaks": "a.bed"}}, "labels": "multiclass"}, "labels", "found multiclass, which takes at"),
        ({"tracks": LABELS, "missing": "nan"}, "missing", "found nan, but labels are never missing"),
        ({"tracks": LABELS, "strands": [["a", "b"]]}, "strands.0", "the track 'a' is a label, and labels have no"),
        (
            {"tracks": SIGNALS, "strands": [["plus", "mins"]]},
            "strands.0",
            "there is no track 'mins'; data.tracks has 'p",
        ),
        ({"tracks": SIGNALS, "strands": [["plus"]]}, "strands.0", "found a list of 1; a pair is the plus and"),
        ({"tracks": SIGNALS, "strands": [["plus", "plus"]]}, "strands", "the track 'plus' is named twice"),
        ({"tracks": SIGNALS, "exclude": [""]}, "exclude.0", "found an empty text"),
        ({"tracks": SIGNALS, "peaks": {"p": {"file": "p.bed", "path": "x"}}}, "peaks.p.file", "peaks.p has no such"),
    ],
)
def test_what_has_no_meaning_is_refused_where_it_stands(values, path, message):
    found_path, found_message = fault(**values)
    assert (found_path, found_message[: len(message)]) == (path, message)


def test_a_fault_of_the_tracks_doesnt_bring_others_along():
    assert fault(tracks={"a": {"path": 3}}, labels="binary", strands=[["x", "y"]], missing="nan")[0] == "tracks.a.path"
