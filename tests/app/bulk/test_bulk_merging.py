"""Parts that are merged: all of one fit, of the detector that is there, each learned once."""

from pathlib import Path

from bulk_command_helpers import HELD, SIZE, Run, stored
from bulk_helpers import detector

from app.bulk.part_file import part_bytes, read_part


def test_parts_that_are_not_all_are_refused(run: Run, parts: list[str]) -> None:
    """Contract: by name; and nothing is made."""
    refused = {
        "1 of 2 shards are missing: 1/2": ["2.part"],
        "are both shard 1/2": ["1.part", "copy.part", "2.part"],
        "other.part is a shard of other images": [*parts, "other.part"],
        "with the same share, number and seed": ["1.part", "seed.part"],
        "different detectors, regions or backbones": ["1.part", "scorer.part"],
        "damaged.part: it is damaged": ["1.part", "damaged.part"],
        "begun.part is not finished": ["1.part", "begun.part"],
        "it is not a readable file": ["top/lot-b/000.png"],
    }
    two = ("--shard", "2/2", "--out")
    run("fit", "bolts", "top/lot-b", *SIZE, *HELD, *two, "other.part")
    run("fit", "bolts", "top", *SIZE, *HELD[:-1], "9", *two, "seed.part")
    run("fit", "bolts", "top", *SIZE, *HELD, *two, "scorer.part", "--scorer", "prototype")
    content = bytearray(Path("2.part").read_bytes())
    part, about = read_part(bytes(content))
    Path("begun.part").write_bytes(part_bytes(part, {**about, "whole": False}))
    content[-9] ^= 1
    Path("damaged.part").write_bytes(content)
    Path("copy.part").write_bytes(Path("1.part").read_bytes())
    for words, files in refused.items():
        assert words in run("merge", "bolts", *files, exit_code=1).stderr
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    said = run("merge", "bolts", "2.part", "--allow-missing", "--target", "0.2")
    assert "Warning: without shard(s) 1/2" in said.stderr
    assert "image(s) fitted now" in said.stdout


def test_a_part_of_another_detector_is_refused(run: Run, parts: list[str]) -> None:
    """Contract: the detector that is there decides; its options are not given twice."""
    run("fit", "bolts", "top", *SIZE, "--scorer", "prototype")
    assert "other options than 'bolts' has" in run("merge", "bolts", *parts, exit_code=1).stderr
    assert stored("bolts").entry.version.version == 2
    shard = ("--shard", "1/1", "--out", "all.part")
    said = run("fit", "bolts", "top", *SIZE, *HELD, *shard, exit_code=1).stderr
    assert "image_size can only be given to a new one" in said
    run("fit", "bolts", "top", *HELD, *shard)  # as it is stored
    run("merge", "bolts", "all.part")
    assert stored("bolts").detector.spec.scorer == "prototype"


def test_merging_the_same_parts_again_makes_another_line_alone(run: Run, parts: list[str]) -> None:
    """Law: parts are learned once; what they know may be decided otherwise."""
    said = run("merge", "bolts", *parts).stdout
    assert run("merge", "bolts", *parts[::-1]).stdout == said
    assert stored("bolts").entry.version.version == 3
    run("merge", "bolts", *parts, "--target", "0.2")
    known = stored("bolts")
    assert known.entry.version.version == 4
    assert known.detector.require_threshold().target == 0.2
    fitted = known.detector.fitted_images
    run("merge", "bolts", *parts, "--extend")  # asked for, so learned again
    assert stored("bolts").detector.fitted_images == 2 * fitted


def test_a_shard_needs_no_database(run: Run, parts: list[str]) -> None:
    """Contract: the store is neither made nor asked."""
    assert not Path("data").exists()
    assert read_part(Path(parts[0]).read_bytes())[0].unfitted.spec == detector().spec
