"""Texts as indices of subword pieces: what every text keeps, in any script."""

from __future__ import annotations

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from expectations.tables import FIRST_VALUE_INDEX, UNKNOWN_INDEX
from jobs.features.plain_text import plain_text
from jobs.features.subwords import encoded, pieces, trained_model

TITLES = ["Desk lamp, red", "Desk lamp, blue", "Red rug", "Lamp bulb for a desk lamp", "红色台灯", "赤いデスクランプ"]
MODEL = trained_model(TITLES)
LONG = 10_000


def spelt(model: bytes, indices: list[int]) -> str:
    return str(sentencepiece.SentencePieceProcessor(model_proto=model).decode(indices))


def test_equal_texts_give_an_equal_model() -> None:
    assert trained_model(list(TITLES)) == MODEL
    assert trained_model(TITLES[:3]) != MODEL


def test_pieces_are_numbered_from_the_first_value() -> None:
    named = pieces(MODEL)
    assert len(named) == len(set(named))
    (indices,) = encoded(MODEL, ["lamp"], LONG)
    assert "".join(named[index - FIRST_VALUE_INDEX] for index in indices) == "▁lamp"


def test_case_and_compatibility_forms_are_one() -> None:
    plain, loud, wide = encoded(MODEL, ["desk lamp", "DESK LAMP", "\uff24\uff45\uff53\uff4b lamp"], LONG)
    assert plain == loud == wide


@pytest.mark.parametrize("text", ["红色台灯", "赤いデスクランプ", "🎉🧶", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "𒀀𒀁", "مصباح"])
def test_any_script_is_spelt_by_its_pieces(text: str) -> None:
    (indices,) = encoded(MODEL, [text], LONG)
    assert UNKNOWN_INDEX not in indices
    assert spelt(MODEL, indices) == plain_text(text, LONG)


@pytest.mark.parametrize("texts", [[], ["", ""], ["\u200b", "▁"]])
def test_a_catalogue_without_texts_still_has_a_model(texts: list[str]) -> None:
    model = trained_model(texts)
    assert spelt(model, encoded(model, ["lamp 灯"], LONG)[0]) == "lamp 灯"


def test_an_alphabet_larger_than_the_vocabulary_still_has_a_model() -> None:
    texts = [chr(0x4E00 + place) * 2 for place in range(15_000)]
    model = trained_model(texts)
    assert spelt(model, encoded(model, [texts[9_000]], LONG)[0]) == texts[9_000]


def test_no_text_has_no_pieces() -> None:
    assert encoded(MODEL, [None, "", " \n", "<br>"], LONG) == [[], [], [], []]


@given(st.text(), st.integers(1, 40))
def test_a_text_becomes_its_first_pieces(text: str, max_pieces: int) -> None:
    (indices,) = encoded(MODEL, [text], max_pieces)
    assert len(indices) <= max_pieces
    assert all(FIRST_VALUE_INDEX <= index < FIRST_VALUE_INDEX + len(pieces(MODEL)) for index in indices)
    assert encoded(MODEL, [text], LONG)[0][:max_pieces] == indices


@given(st.text())
def test_pieces_spell_the_normalised_text(text: str) -> None:
    (indices,) = encoded(MODEL, [text], LONG)
    processor = sentencepiece.SentencePieceProcessor(model_proto=MODEL)
    normalised = processor.normalize(plain_text(text, LONG)).replace("▁", " ")
    assert spelt(MODEL, indices) == normalised.removeprefix(" ")
