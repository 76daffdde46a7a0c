"""People's words on verdicts: which fit, which count, and who said them."""

from collections.abc import Iterator

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, problem, strict, upload

from app.access.credentials import invent


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A calibrated detector that has scored."""
    with line(tmp_path_factory.mktemp("reviews")) as running:
        running.fit()
        yield running


def scored(bolts: Line, seed: int, odd: int) -> str:
    """Return the id of an image that was scored."""
    (result,) = bolts.score([picture(seed, odd)])
    assert result["flagged"] == bool(odd)
    return str(result["id"])


@pytest.mark.parametrize(
    ("odd", "word", "fits"),
    [
        (90, "confirmed", True),
        (90, "false_alarm", True),
        (90, "passed", False),
        (90, "missed", False),
        (0, "confirmed", False),
        (0, "false_alarm", False),
        (0, "passed", True),
        (0, "missed", True),
    ],
)
def test_a_word_fits_the_verdict(bolts: Line, odd: int, word: str, fits: bool) -> None:
    """Contract: 201, or 409 that says which words would fit; nothing is kept then."""
    image = scored(bolts, 7000, odd)
    answer = bolts.review(image, word)
    if fits:
        assert answer.status_code == 201
    else:
        told = problem(answer, 409, "review-mismatch")
        assert ("confirmed or false_alarm" if odd else "passed or missed") in told["detail"]
    reviews = strict(bolts.client.get(f"/v1/images/{image}"))["reviews"]
    assert len(reviews) == fits


def test_the_latest_word_counts_and_earlier_ones_stay(bolts: Line) -> None:
    """Contract: an image tells all words, the latest first; the audit has before and after."""
    image = scored(bolts, 7001, 90)
    for word, note in (("confirmed", "scratch"), ("false_alarm", "only dust\nwiped off")):
        made = strict(bolts.review(image, word, note))
        assert (made["image"], made["word"], made["note"], made["who"]) == (
            image,
            word,
            note,
            "local",
        )
    told = strict(bolts.client.get(f"/v1/images/{image}"))["reviews"]
    assert [each["word"] for each in told] == ["false_alarm", "confirmed"]
    query = {"subject": NAME, "limit": 1000}
    lines = strict(bolts.client.get("/v1/audit", params=query))["lines"]
    ours = [each for each in lines if each["before"].get("image") == image]
    assert [each["action"] for each in ours] == ["review", "review"]
    assert [each["before"]["word"] for each in ours] == [None, "confirmed"]
    assert [each["after"]["word"] for each in ours] == ["confirmed", "false_alarm"]


def test_pages_are_the_whole_newest_first(bolts: Line) -> None:
    """Law: pages of any size give every word once; of one detector or of all."""
    made = [strict(bolts.review(scored(bolts, 7100 + i, 90), "confirmed"))["id"] for i in range(5)]
    for query in ({}, {"detector": NAME}):
        whole = strict(bolts.client.get("/v1/reviews", params={"limit": 1000} | query))["reviews"]
        assert [each["id"] for each in whole[:5]] == made[::-1]
        paged, cursor = [], {}
        while True:
            page = strict(bolts.client.get("/v1/reviews", params={"limit": 2} | query | cursor))
            paged += page["reviews"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert paged == whole
    create(bolts.client, "nuts")
    assert strict(bolts.client.get("/v1/reviews", params={"detector": "nuts"}))["reviews"] == []
    unknown = bolts.client.get("/v1/reviews", params={"detector": "screws"})
    problem(unknown, 404, "unknown-detector")


def test_what_cannot_be_reviewed(bolts: Line) -> None:
    """Contract: unknown images, images without a verdict, words that are none."""
    problem(bolts.review("0" * 32, "missed"), 404, "unknown-image")
    for image, word, note in (
        ("0", "missed", ""),
        ("0" * 32, "odd", ""),
        ("0" * 32, "missed", "x" * 1001),
        ("0" * 32, "missed", "a\0b"),
    ):
        problem(bolts.review(image, word, note), 422, "invalid-request")
    create(bolts.client, "washers")
    fitted = upload(bolts.client, "washers", "fit", [picture(i) for i in range(9)])
    assert fitted.status_code == 200
    answer = upload(bolts.client, "washers", "score", [picture(1)])
    (result,) = strict(answer)["results"]
    told = problem(bolts.review(result["id"], "missed"), 409, "review-mismatch")
    assert "calibrate" in told["detail"]


def test_a_key_in_a_note_is_not_kept(bolts: Line) -> None:
    """Contract: neither with the word nor in the audit; its public part stays, to be revoked."""
    text = invent()[1]
    image = scored(bolts, 7200, 90)
    made = strict(bolts.review(image, "confirmed", f"seen with {text}"))
    assert made["note"] == f"seen with {text[:16]}..."
    told = bolts.client.get(f"/v1/images/{image}").text
    audit = bolts.client.get("/v1/audit", params={"subject": NAME, "limit": 1000}).text
    assert text[:16] in told
    assert text[:16] in audit
    assert text[16:] not in told + audit
