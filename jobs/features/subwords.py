"""Subword pieces of texts in any language: trains a SentencePiece model, and cuts texts with one in executors.

Idea: a unigram language model over pieces, learnt from raw text without knowing what a word is, so that Chinese and
Japanese need no spaces between theirs. A character that the model has not learnt falls back to the pieces of its
UTF-8 bytes: emoji and scripts that turn up later keep what they say, and no text becomes unknown.

Source: Kudo, Richardson: SentencePiece, 2018, https://arxiv.org/abs/1808.06226.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import sentencepiece
from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX, UNKNOWN_INDEX
from jobs.features.plain_text import plain_text

MAX_PIECES = 8_000
"""Of a vocabulary, the 256 bytes included; a small catalogue has fewer."""
_MAX_CHARACTERS = MAX_PIECES // 2
"""Distinct ones that the trainer sees; it refuses an alphabet that fills the vocabulary."""
_CHARACTERS_PER_PIECE = 10
"""More than any real text has, so that a cut text still fills its pieces."""


def trained_model(texts: Sequence[str]) -> bytes:
    """Returns a model learnt from `texts`; equal texts in equal order give equal bytes.

    Without any text, the pieces are little more than the bytes, into which everything can be cut.
    """
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        # The trainer refuses texts of which its normalisation leaves nothing.
        sentence_iterator=iter([*_with_common_characters(texts), "a"]),
        model_writer=buffer,
        model_type="unigram",
        vocab_size=MAX_PIECES,
        hard_vocab_limit=False,
        byte_fallback=True,
        # Unicode's compatibility forms are one, and so are upper and lower case.
        normalization_rule_name="nmt_nfkc_cf",
        pad_id=PADDING_INDEX,
        unk_id=UNKNOWN_INDEX,
        bos_id=-1,
        eos_id=-1,
        # Sums of several threads would come in any order.
        num_threads=1,
        minloglevel=2,
    )
    return buffer.getvalue()


def pieces(model: bytes) -> list[str]:
    """All pieces that stand for text, in the order of their indices, the first of which is FIRST_VALUE_INDEX."""
    processor = _processor(model)
    return [processor.id_to_piece(index) for index in range(FIRST_VALUE_INDEX, processor.vocab_size())]


def encoded(model: bytes, texts: Sequence[str | None], max_pieces: int) -> list[list[int]]:
    """The indices of the first `max_pieces` pieces of each text, in order, markup left out; empty without a text."""
    plain = [plain_text(text, max_pieces * _CHARACTERS_PER_PIECE) for text in texts]
    return [indices[:max_pieces] for indices in _processor(model).encode(plain, num_threads=1)]


def piece_indices(model: bytes, text: Column, max_pieces: int) -> Column:
    """Returns `encoded` as a column, computed in executors."""

    def cut(texts: pa.Array) -> pa.Array:
        return pa.array(encoded(model, texts.to_pylist(), max_pieces), pa.list_(pa.int32()))

    encode = F.arrow_udf(cut, "array<int>")  # type: ignore[call-overload]  # stubs want what the code warns about
    return encode(text)


@lru_cache(maxsize=2)
def _processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """Loaded once per process."""
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def _with_common_characters(texts: Sequence[str]) -> list[str]:
    """Returns the texts that hold anything, with blanks for all but the `_MAX_CHARACTERS` most frequent characters."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    found, counts = np.unique(codes, return_counts=True)
    rare = found[np.argsort(-counts, kind="stable")[_MAX_CHARACTERS:]]
    blanks = dict.fromkeys(rare.tolist(), " ")
    return [text.translate(blanks) if blanks else text for text in texts if text]
