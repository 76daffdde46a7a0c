"""Adapting gates where that cannot be: requests that are refused, and images that are too few."""

from pathlib import Path

import pytest
from adapt_helpers import submit
from http_helpers import Ended, followed, problem, running, strict
from stub_backbone import stub_embedder


@pytest.mark.parametrize(
    ("usable", "others", "said"),
    [
        (10, 0, "10 normal images give"),
        (12, 40, "40 more could not be used, the first, '12.png': not an image"),
    ],
    ids=["few were sent", "few could be read"],
)
def test_too_few_images_fail_the_job(
    usable: int, others: int, said: str, pngs: list[bytes], tmp_path: Path
) -> None:
    """Contract: the problem counts, says what would do, and tells of what could not be read."""
    contents = pngs[:usable] + [b"no image"] * others
    images = {f"{index}.png": content for index, content in enumerate(contents)}
    with running(tmp_path, stub_embedder()) as client:
        told = problem(followed(client, submit(client, images)), 422, "degenerate-data")
    assert said in told["detail"]
    assert "add images" in told["detail"]


def test_what_cannot_be_is_refused(pngs: list[bytes], tmp_path: Path) -> None:
    """Contract: before the body is read where that can be, else by the job's problem."""
    images = {"0.png": pngs[0]}
    with running(tmp_path / "own", stub_embedder()) as client:
        wrong = {"size": (63, 1025), "limit": (0, 1001), "seed": (-1, 2**32)}
        for name, values in wrong.items():
            for value in values:
                answer = submit(client, images, **{name: value})
                assert f"query.{name}" in problem(answer, 422, "invalid-request")["detail"]
        problem(client.post("/v1/adapt"), 415, "unsupported-media-type")
        problem(client.post("/v1/adapt?folder=/srv"), 403, "forbidden-folder")
        files = [("images", ("0.png", pngs[0])), ("mask", ("mask.png", pngs[0]))]
        masked = followed(client, client.post("/v1/adapt", files=files))
        assert isinstance(masked, Ended)
        assert "send no mask" in problem(masked, 422, "mask-mismatch")["detail"]
        assert len(strict(client.get("/v1/jobs"))["jobs"]) == 1
    with running(tmp_path / "other", stub_embedder(), backbone="timm:seresnet50") as client:
        told = problem(submit(client, images), 409, "cannot-adapt")
        assert "GATEWATCH_BACKBONE is timm:seresnet50" in told["detail"]


def test_a_request_sent_again_makes_no_second_job(pngs: list[bytes], tmp_path: Path) -> None:
    """Contract: under one Idempotency-Key; another request under it is refused."""
    key = {"Idempotency-Key": "once"}
    with running(tmp_path, stub_embedder()) as client:
        first, again = (submit(client, {"0.png": pngs[0]}, key) for _ in range(2))
        other = submit(client, {"0.png": pngs[0]}, key, seed=4)

    assert first.status_code == again.status_code == 202
    assert first.headers["location"] == again.headers["location"]
    problem(other, 422, "idempotency-conflict")
