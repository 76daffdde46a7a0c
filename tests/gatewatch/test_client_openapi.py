"""The client against the description of the API: every operation, parameter and field."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from client_helpers import picture
from pydantic import BaseModel
from stub_backbone import stub_embedder

import app.schemas
import gatewatch.answers
from app import problems
from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry
from gatewatch import Client, NewThreshold, Options
from gatewatch import operations as of
from gatewatch.api import Api
from gatewatch.binding import _Bound
from gatewatch.calls import IDEMPOTENCY_KEY, Call, Listing, Submission
from gatewatch.reading import required

OTHER = {"GET /health"}
"""Operations that the client leaves out besides V2, which has clients of its own: /readyz again."""
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LINE = NewThreshold(
    method="cost",
    target=0.1,
    delta=0.1,
    k=3.0,
    tail=0.1,
    miss=2.0,
    false_alarm=1.0,
    prevalence=0.1,
    value=1.0,
    by_group=True,
    review_target=0.2,
)
IMAGE = picture(1)
CHANGE: dict[str, Any] = {"base": 1, "promote": "never", "reason": "r"}
GROUPED: dict[str, Any] = {"server_folder": "/data", "group": "g", "group_from": "folder"}
HOW: dict[str, Any] = {"version": 1, "allow_stale": True, "timeout_s": 1.5}


def calls() -> dict[str, Any]:
    """Return a call of every operation, with all that can be said."""
    made = {
        "alive": of.service.alive(),
        "ready": of.service.ready(),
        "info": of.service.info(),
        "metrics": of.service.metrics(),
        "create": of.detectors.create(
            "n",
            kind="image",
            view={},
            scorer="kl",
            image_size=64,
            descriptor="gate",
            backbone="b",
            mask="request",
            options=Options(),
            reason="r",
        ),
        "detectors": of.detectors.detectors(),
        "detector": of.detectors.detector("n"),
        "delete": of.detectors.delete("n", reason="r"),
        "export": of.detectors.export("n", "to", version=1, rows=True, reason="r"),
        "import_": of.detectors.import_(__file__, name="n", reason="r"),
        "fit": of.learning.fit("n", **GROUPED, **CHANGE),
        "extend": of.learning.extend("n", **GROUPED, **CHANGE),
        "forget": of.learning.forget("n", sha256=["0"], groups=["g"], **CHANGE),
        "calibrate": of.learning.calibrate("n", **GROUPED, threshold=LINE, **CHANGE),
        "recalibrate": of.learning.recalibrate("n", threshold=LINE, **CHANGE),
        "adapt": of.learning.adapt(server_folder="/d", size=1, limit=1, seed=1, reason="r"),
        "replay": of.past.replay(
            "n", version=1, scorer="kl", threshold=LINE, since=NOW, until=NOW, reason="r"
        ),
        "jobs": of.learning.jobs(detector="n"),
        "job_info": of.learning.job_info("j"),
        "cancel": of.learning.cancel("j", reason="r"),
        "gates": of.learning.gates("j", "to"),
        "score": of.scoring.score("n", IMAGE, group="g", places=True, **HOW),
        "score_batch": of.scoring.score_batch(
            "n", [IMAGE], group="g", false_discovery_rate=0.1, places=True, **HOW
        ),
        "score_many": of.scoring.score_many(
            ["n"],
            [IMAGE],
            group="g",
            false_discovery_rate=0.1,
            places=True,
            allow_stale=True,
            timeout_s=1,
        ),
        "explain": of.scoring.explain("n", IMAGE, group="g", **HOW),
        "map": of.scoring.map("n", IMAGE, group="g", **HOW),
        "divergence": of.scoring.divergence("n", [IMAGE], **HOW),
        "threshold": of.thresholds.threshold("n", version=1, allow_stale=True),
        "set_threshold": of.thresholds.set_threshold("n", LINE, allow_stale=True, **CHANGE),
        "preview": of.thresholds.preview(
            "n", threshold=LINE, targets=[0.1], version=1, allow_stale=True
        ),
        "calibration_scores": of.thresholds.calibration_scores(
            "n", bins=10, version=1, allow_stale=True
        ),
        "versions": of.versions.versions("n"),
        "version": of.versions.version("n", 1),
        "fitted_images": of.versions.fitted_images("n", 1),
        "promote": of.versions.promote(
            "n", 1, allow_stale=True, allow_uncalibrated=True, reason="r"
        ),
        "rollback": of.versions.rollback("n", allow_uncalibrated=True, reason="r"),
        "delete_version": of.versions.delete_version("n", 1, reason="r"),
        "compare": of.versions.compare("n", 1, 2, [IMAGE], group="g", timeout_s=1),
        "shadow": of.versions.shadow("n"),
        "set_shadow": of.versions.set_shadow("n", 1, reason="r"),
        "remove_shadow": of.versions.remove_shadow("n", reason="r"),
        "traffic": of.past.traffic(hours=1),
        "history": of.past.history("n", since=NOW, until=NOW, verdict="normal"),
        "image": of.past.image("i"),
        "review": of.past.review("i", "missed", note="n", reason="r"),
        "reviews": of.past.reviews(detector="n"),
        "proposals": of.past.proposals("n", target=0.1),
        "apply_proposal": of.past.apply_proposal(
            "n", "threshold", rule="between", target=0.1, reason="r"
        ),
        "drift": of.drift.drift("n"),
        "acknowledge": of.drift.acknowledge("n", monitor="bulk", reason="r"),
        "rebaseline": of.drift.rebaseline("n", images=300, reason="r"),
        "power": of.drift.power("n", version=1, promise_images=2, shift=0.5, spread=1.5),
        "replay_drift": of.drift.replay_drift(
            "n", version=1, promise_images=2, since=NOW, until=NOW, reason="r"
        ),
        "notices": of.drift.notices(detector="n"),
        "send_test_notice": of.drift.send_test_notice(),
        "me": of.admin.me(),
        "create_key": of.admin.create_key("n", "score", expires_at=NOW, per_minute=1, reason="r"),
        "keys": of.admin.keys(),
        "revoke_key": of.admin.revoke_key("i", force=True, reason="r"),
        "audit": of.admin.audit(after=1, before=9, order="newest", subject="n"),
    }
    return made | {"events": of.learning.watch("j", "1")}


def the_call(made: Any) -> Call[Any]:
    """Return the request of an operation; of a list that for its second page."""
    if isinstance(made, Listing):
        return made.page("1" if "history" in made.page(None).route else 1)
    return made.call if isinstance(made, Submission) else made


CALLS = {name: the_call(made) for name, made in calls().items()}


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The API as it describes itself."""
    folder = tmp_path_factory.mktemp("described")
    settings = Settings(data_dir=folder, device="cpu")
    service = Service(settings, stub_embedder(), Storage.open(folder), Telemetry())
    return create_app(settings, service).openapi()


def test_every_operation_has_a_method(description: dict[str, Any]) -> None:
    """Contract: what the API offers, the client offers, but for what is left out on purpose."""
    offered = {
        f"{method.upper()} {path}"
        for path, methods in description["paths"].items()
        for method in methods
        if not path.startswith("/v2")
    }
    assert {call.route for call in CALLS.values()} == offered - OTHER


def test_every_method_is_looked_at() -> None:
    """Contract: the calls above are all the operations there are, each with all its parameters."""
    bound = {name for name, value in vars(Api).items() if isinstance(value, _Bound)}
    assert bound | {"events"} == CALLS.keys()
    functions = {getattr(Api, name).make for name in bound}
    for module in (getattr(of, name) for name in of.__all__):
        public = {
            value
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
        }
        assert public - functions <= {of.learning.watch, of.scoring.within}


@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_can_be_said(description: dict[str, Any], name: str) -> None:
    """Contract: query, headers and members of the body are those described, no more, no fewer."""
    call = CALLS[name]
    method, _, path = call.route.partition(" ")
    described = description["paths"][path][method.lower()]
    places: dict[str, set[str]] = {"query": set(), "header": set(), "path": set()}
    for each in described.get("parameters", []):
        places[each["in"]].add(each["name"].lower())
    only_batch = {"false_discovery_rate"} if name == "score" else set()
    assert call.parameters.keys() == places["query"] - only_batch
    assert call.headers.keys() == places["header"]
    assert call.parts.keys() == places["path"]
    content = described.get("requestBody", {}).get("content", {})
    if call.document is not None:
        reference = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        schema = description["components"]["schemas"][reference]
        assert call.document.keys() == schema["properties"].keys()
    if call.body is not None:
        assert call.body.media_type.partition(";")[0] in content


def test_the_words_of_review_are_those_of_the_api(description: dict[str, Any]) -> None:
    """Contract: none is missing, and none would be refused."""
    described = description["components"]["schemas"]["NewReview"]["properties"]["word"]
    assert set(described["enum"]) == set(get_args(of.past.Word))


def test_jobs_are_submitted_once() -> None:
    """Contract: what begins a job has a key of its own, anew for each call."""
    for name, made in calls().items():
        if isinstance(made, Submission):
            key = made.call.headers[IDEMPOTENCY_KEY]
            assert made.call.may_repeat
            assert key != CALLS[name].headers[IDEMPOTENCY_KEY]


def schemas() -> dict[str, type[BaseModel]]:
    """Return the service's bodies by name."""
    found: dict[str, type[BaseModel]] = {"Problem": problems.Problem}
    for module in pkgutil.iter_modules(app.schemas.__path__):
        if module.name == "v2":
            continue
        members = vars(importlib.import_module(f"app.schemas.{module.name}"))
        found |= {
            name: value
            for name, value in members.items()
            if inspect.isclass(value) and issubclass(value, BaseModel)
        }
    return found


LATER = {"Info": {"kinds"}, "KindInfo": {"pairs"}}  # what servers of old do not tell


@pytest.mark.parametrize("name", gatewatch.answers.__all__)
def test_dataclasses_have_the_fields_of_the_api(name: str) -> None:
    """Contract: the same fields, the same of them required but for later ones, frozen."""
    ours, theirs = getattr(gatewatch.answers, name), schemas()[name]
    assert {each.name for each in dataclasses.fields(ours)} == theirs.model_fields.keys()
    needed = {key for key, field in theirs.model_fields.items() if field.is_required()}
    assert required(ours) == needed - LATER.get(name, set())
    assert ours.__dataclass_params__.frozen


def test_every_answer_is_a_dataclass(description: dict[str, Any]) -> None:
    """Contract: whatever an operation may answer is among them."""
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict) and "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            if name not in found:
                found.add(name)
                walk(description["components"]["schemas"][name])
        for each in part.values() if isinstance(part, dict) else ():
            walk(each)
        for each in part if isinstance(part, list) else ():
            walk(each)

    for path, methods in description["paths"].items():
        if not path.startswith("/v2"):
            for operation in methods.values():
                walk([operation["responses"].get(code, {}) for code in ("200", "201", "202")])
    assert found - {"Role"} <= set(gatewatch.answers.__all__)


def test_methods_look_like_their_operations() -> None:
    """Contract: help() and signatures tell what an operation takes."""
    with Client("http://127.0.0.1:1") as client:
        assert inspect.signature(client.fit) == inspect.signature(of.learning.fit)
        assert client.fit.__doc__ == of.learning.fit.__doc__
    assert inspect.signature(Client.score) == inspect.signature(of.scoring.score)


def test_the_package_knows_nothing_of_the_service() -> None:
    """Contract: it imports neither the service nor what only that needs; NumPy within calls."""
    for path in Path(gatewatch.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.partition(".")[0] for name in names}
            assert not tops & {"app", "detector", "models", "torch", "pydantic"}, path
