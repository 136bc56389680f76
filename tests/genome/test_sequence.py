import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from genotune.errors import DataError
from genotune.genome.sequence import decode, encode, one_hot, reverse_complement

CODES = arrays(np.uint8, array_shapes(max_dims=3), elements=st.integers(0, 4))


def test_bases_have_the_codes_of_the_store():
    np.testing.assert_array_equal(encode(b"ACGTN"), np.array([0, 1, 2, 3, 4], dtype=np.uint8))


def test_soft_masked_bases_are_the_same_bases():
    np.testing.assert_array_equal(encode(b"acgtnACGTN"), [0, 1, 2, 3, 4] * 2)


def test_every_ambiguous_letter_is_unknown():
    assert set(encode(b"RYSWKMBDHVryswkmbdhvUX-").tolist()) == {4}


@pytest.mark.parametrize(("text", "message"), [(b"AC>T", r"b'>' at base 2"), (b"MEEPQ", r"b'E' at base 1")])
def test_what_is_no_nucleotide_is_refused(text, message):
    with pytest.raises(DataError, match=f"{message} is no letter of a nucleotide"):
        encode(text)


def test_the_reverse_complement_of_a_known_sequence():
    assert decode(reverse_complement(encode(b"AACGTNC"))) == "GNACGTT"


def test_one_hot_has_channels_first_and_nothing_for_n():
    expected = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(one_hot(encode(b"AGN")), expected)


@given(CODES)
def test_reverse_complement_twice_is_the_identity(codes):
    np.testing.assert_array_equal(reverse_complement(reverse_complement(codes)), codes)


@given(CODES)
def test_reverse_complement_flips_both_axes_of_one_hot(codes):
    np.testing.assert_array_equal(one_hot(reverse_complement(codes)), one_hot(codes)[..., ::-1, ::-1])


@given(st.text(alphabet="ACGTN"))
def test_decoding_gives_back_what_was_encoded(text):
    assert decode(encode(text.encode())) == text
