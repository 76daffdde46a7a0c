"""Sequences: tokens as JSON, or lines of a log; found odd by what stands where.

One sample is ``{"tokens": ["open", "read", "close"]}`` or the list alone, whose strings are taken
as they are. All else is plain text in UTF-8, such as a window of log lines, also where each is an
object of JSON; its tokens are the words, the first 100 characters of each (``parsing.log_lines``),
or whole lines. The vocabulary, of a million characters at most, is what two or more of the normal
samples have: a word that only one has is as unknown as any that comes later, so that the share of
unknown words in normal samples is known too (that share is estimated by the words seen once: Good,
"The population frequencies of species and the estimation of population parameters", Biometrika 40,
1953).

The network predicts each token from those around it (``models.kinds.sequence_learning``). Chosen by
mean AUROC over two seeds, on windows of 5 and 10 lines of BGL (alerts against none, alternate
hundreds of lines) and on generated sessions with two neighbours swapped:

==================================================  =======  ========  =======
network, task                                       5 lines  10 lines  swapped
==================================================  =======  ========  =======
this one                                            0.956    0.974     1.000
this one, untrained                                 0.957    0.945     0.991
Transformer with SE, 15 % of the tokens masked      0.937    0.933     0.985
Transformer with SE, untrained                      0.944    0.953     0.974
this one, a line is a token (one seed)              0.935    0.930
==================================================  =======  ========  =======

So on alerts of few words training adds little to the maps' own statistics; where order is what goes
wrong, it adds what counts of words cannot know. Where messages become usual that no normal sample
had, their windows score high, and detectors that ignore unknown words do better: extend the fit.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64, UInt8
from torch import nn

from detector.errors import (
    DegenerateDataError,
    InvalidSpecError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.kind import Axis, LearnedKind, Located, Shares
from detector.kinds.parsing import log_lines, vocabulary_bounds
from detector.kinds.parsing.log_lines import Span
from detector.kinds.pictures import log_picture
from models.kinds.sequence_learning import Mend, SurpriseNetwork
from models.plan import Plan
from models.tokens import Tokens, Vocabulary

BYTES, TOKENS, LINE, TOKEN = 1 << 20, 4096, 16_384, 1000
LEAST_TOKENS = 2
"""Of the longest sample: a single token has no others that it could be predicted from."""
LEAST = 2
"""Of how many normal samples a token is known."""
_TOKENS_BEGIN = re.compile(r'\{\s*"tokens"\s*:')
_LIST_BEGINS = re.compile(r'\[\s*"')
UNITS = ("words", "lines")
_SHAPE = 'send {"tokens": ["a", "b"]}, a list of strings, or log lines as plain text'


@dataclass(frozen=True, slots=True)
class SequenceView:
    """How text and tokens are looked at.

    Attributes:
        unit: whether a token of text is a word, or a line.
        lower: whether the words of text are in lower case.
        longest: most tokens of a sample.
        vocabulary: most tokens that are known, the most frequent ones.
    """

    unit: str = "words"
    lower: bool = True
    longest: int = 1024
    vocabulary: int = 2000

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InvalidSpecError(f"unit must be {' or '.join(UNITS)}, got {self.unit!r}")
        if not LEAST_TOKENS <= self.longest <= TOKENS:
            raise InvalidSpecError(
                f"longest must be {LEAST_TOKENS} to {TOKENS} tokens, got {self.longest}"
            )
        if not 1 <= self.vocabulary <= 8000:
            raise InvalidSpecError(f"vocabulary must be 1 to 8000 tokens, got {self.vocabulary}")


@dataclass(frozen=True, slots=True)
class SequenceSample:
    """Tokens, and of text its lines that are not blank, and where in them each token stands."""

    tokens: tuple[str, ...]
    lines: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


class Words(Tokens):
    """The preparation: the ids of a sample's tokens, as the vocabulary has them."""

    def prepare(self, sample: SequenceSample) -> Int64[np.ndarray, " t"]:
        """Return the ids."""
        return self.vocabulary.encode(sample.tokens)


class SequenceKind(LearnedKind[SequenceSample, SequenceView]):
    """Tokens in an order: log lines, events of a session, steps of a protocol."""

    name = "sequence"
    sample = "sequence"
    media_types = ("text/plain", "application/json")
    suffixes = (".log", ".txt", ".json")
    json = True
    limits: ClassVar = {
        "bytes": BYTES,
        "tokens": TOKENS,
        "line_characters": LINE,
        "token_characters": TOKEN,
    }
    View = SequenceView
    plan = Plan(steps=50, rounds=6, patience=2, rate=4e-3)

    def decode(self, content: bytes, view: SequenceView) -> SequenceSample:
        """Return the sample. Bytes that are no UTF-8 separate words, NUL is refused."""
        if len(content) > BYTES:
            raise SampleTooLargeError(
                f"a sequence has at most {BYTES} bytes, got {len(content)}: send a shorter one"
            )
        if b"\0" in content:
            raise UnsupportedSampleError(f"these are no text in UTF-8 but binary data: {_SHAPE}")
        text = content.decode("utf-8-sig", errors="replace")
        given = _json_tokens(text)
        sample = _of_text(text, view) if given is None else SequenceSample(_checked(given, view))
        if not sample.tokens:
            raise UndecodableSampleError(f"the sequence is empty: {_SHAPE}")
        return sample

    def settings(self, samples: Sequence[SequenceSample], view: SequenceView) -> dict[str, Any]:
        """Return the vocabulary, and how many samples have each token (first: an unknown one)."""
        kinds = [set(sample.tokens) for sample in samples]
        counts = Counter(token for each in kinds for token in each)
        known = [token for token in counts if counts[token] >= LEAST]
        ranked = sorted(known, key=lambda token: (-counts[token], token))
        tokens = vocabulary_bounds.within(ranked[: view.vocabulary])
        if not tokens:
            raise DegenerateDataError("no token is in two of the samples: nothing is common")
        if len({sample.tokens for sample in samples}) == 1:
            raise DegenerateDataError("all samples have the same tokens: nothing varies")
        vocabulary = frozenset(tokens)
        unknown = sum(not each <= vocabulary for each in kinds)
        return {
            "tokens": tokens,
            "known": [unknown, *(counts[token] for token in tokens)],
            "samples": len(samples),
        }

    def network(
        self, view: SequenceView, settings: Mapping[str, Any]
    ) -> tuple[SurpriseNetwork, Words]:
        """Return a network that has learned nothing yet, with its preparation."""
        words = Words(Vocabulary(tuple(settings["tokens"])), view.longest)
        if len(settings["known"]) != words.vocabulary.size - 1:
            raise ValueError("the settings tell of another number of tokens than they have")
        return SurpriseNetwork(settings["known"], settings["samples"]), words

    def task(self, network: nn.Module, view: SequenceView, settings: Mapping[str, Any]) -> Mend:
        """Return what the network is trained by."""
        assert isinstance(network, SurpriseNetwork)
        return Mend(network)

    def locate(
        self, sample: SequenceSample, view: SequenceView, shares: Shares
    ) -> tuple[Located, ...]:
        """Return each token's share; every block's map has a place for each."""
        total = np.sum([np.asarray(each, np.float64) for each in shares.values()], axis=0)
        return (Located("tokens", (Axis("token", "", sample.tokens),), total),)

    def picture(
        self,
        sample: SequenceSample,
        view: SequenceView,
        located: Sequence[Located],
        threshold: float | None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return the text with its odd tokens highlighted."""
        lines, spans = sample.lines, sample.spans
        if not lines:
            lines, spans = log_picture.joined(sample.tokens)
        return log_picture.drawn(lines, spans, located[0].values, threshold)


def _json_tokens(text: str) -> list[Any] | None:
    """Return the tokens of an object that has some, or of a list of strings; None of plain text."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _TOKENS_BEGIN.match(text) or (_LIST_BEGINS.match(text) and _cut(error, len(text))):
            raise UndecodableSampleError(f"the JSON cannot be read ({error}): {_SHAPE}") from error
        return None  # log lines may begin so
    if isinstance(value, dict) and "tokens" in value:
        if not isinstance(value["tokens"], list):
            raise UndecodableSampleError(f'"tokens" must be a list: {_SHAPE}')
        return value["tokens"]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    return None


def _cut(error: Exception, length: int) -> bool:
    """Return whether a JSON text of so many characters ends before its list does."""
    return isinstance(error, json.JSONDecodeError) and (
        error.pos >= length or error.msg.startswith("Unterminated string")
    )


def _checked(tokens: list[Any], view: SequenceView) -> tuple[str, ...]:
    _within(len(tokens), view)
    for place, token in enumerate(tokens):
        if not isinstance(token, str):
            raise UndecodableSampleError(
                f"every token must be a string, number {place} is {type(token).__name__}: {_SHAPE}"
            )
        if len(token) > TOKEN:
            raise SampleTooLargeError(
                f"a token has at most {TOKEN} characters, number {place} has {len(token)}"
            )
        if "\0" in token or any("\ud800" <= character <= "\udfff" for character in token):
            raise UndecodableSampleError(f"token {place} holds a NUL or half a character")
    return tuple(tokens)


def _of_text(text: str, view: SequenceView) -> SequenceSample:
    tokens: list[str] = []
    lines: list[str] = []
    spans: list[Span] = []
    for line in text.replace("\r", "\n").split("\n"):
        if len(line) > LINE:
            raise SampleTooLargeError(
                f"a line has at most {LINE} characters, got {len(line)}: cut it"
            )
        found = log_lines.words(line, len(lines), lower=view.lower)
        if not found:
            continue
        if view.unit == "lines":
            found = [log_lines.template(found, TOKEN)]
        lines.append(line)
        for token, span in found:
            tokens.append(token)
            spans.append(span)
        _within(len(tokens), view)
    return SequenceSample(tuple(tokens), tuple(lines), tuple(spans))


def _within(count: int, view: SequenceView) -> None:
    if count > view.longest:
        raise SampleTooLargeError(
            f"this detector looks at {view.longest} tokens at most, got {count} or more: send a "
            f'shorter sequence, or create it with a view whose "longest" is more (to {TOKENS})'
        )


KIND = SequenceKind()
