"""The command ``gatewatch simulate``: a scene streamed at a service, and what was noticed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from app.commands.following import INTERRUPTED
from app.commands.target import GREETING_S, KeyFile, said
from app.simulation.errors import RefusedError, SimulationError
from app.simulation.greeting import greet
from app.simulation.pictures import Drawn, Own, Part, Pictures
from app.simulation.play import Played, Player
from app.simulation.script import Act, Scene, script
from app.simulation.subject import Alarm, Standing, Subject
from app.simulation.verdict import verdicts
from detector.spec import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE
from gatewatch import Client, GatewatchError, Retries

HURRY_S = 5.0
"""How long a service that refuses is asked to delete: somebody waits for the end."""


def simulate(
    url: Annotated[
        str, typer.Option(envvar="GATEWATCH_URL", help="Of the service.")
    ] = "http://127.0.0.1:8000",
    key_file: KeyFile = None,
    detector: Annotated[
        str, typer.Option(help="To be made; one that no simulation has made is let be.")
    ] = "simulated",
    scene: Annotated[
        Scene, typer.Option(help="tour: all changes, one after another.")
    ] = "lighting",
    images: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Own normal images, to be changed."),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="With --images: another product."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Images a second.")] = 10,
    count: Annotated[int, typer.Option(min=30, max=100_000, help="Images of a change.")] = 300,
    fitted: Annotated[int, typer.Option(min=20, max=2000, help="Images to fit, at most.")] = 80,
    calibrated: Annotated[
        int, typer.Option(min=20, max=2000, help="Images to calibrate with, at most.")
    ] = 300,
    image_size: Annotated[
        int, typer.Option(min=MIN_IMAGE_SIZE, max=MAX_IMAGE_SIZE, help="Of the detector.")
    ] = DEFAULT_IMAGE_SIZE,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the detector there.")] = False,
) -> None:
    """Stream a scene at a running service, to see its monitors and dashboard react.

    Ends with 1 if normal traffic raised an alarm or a change was not noticed, with 2 if it could
    not begin.
    """
    try:
        pictures = _pictures(images, other, scene, seed)
        acts = script(scene, count, pictures)
        with _clients(url, key_file) as (client, leaving):
            subject = Subject(client, detector, leaving)
            with _kept(subject) if keep else _removed(subject):
                subject.make(image_size)
                _learn(subject, pictures, "fit", fitted)
                _learn(subject, pictures, "calibrate", calibrated)
                played = _play(subject, pictures, acts, seed, rate)
    except (SimulationError, GatewatchError) as error:
        typer.echo(f"gatewatch: {said(error)}", err=True)
        raise typer.Exit(2 if isinstance(error, RefusedError) else 1) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    found = verdicts(played)
    for verdict in found:
        typer.echo(verdict.sentence)
    if not all(verdict.right for verdict in found):
        raise typer.Exit(1)


def _pictures(images: Path | None, other: Path | None, scene: Scene, seed: int) -> Pictures:
    if images is None:
        if other is not None:
            raise RefusedError("--other is of use with --images only: two products are drawn")
        return Drawn(seed)
    if other is None and scene in ("product", "tour"):
        raise RefusedError(f"--scene {scene} shows another product: give its images with --other")
    return Own(images, seed, other)


@contextmanager
def _clients(url: str, key_file: Path | None) -> Iterator[tuple[Client, Client]]:
    """Give two clients of a service that was greeted: a patient one, and one for the end.

    Raises:
        RefusedError: if it is none, or not to be played at.
    """
    try:
        key = key_file.read_text(errors="replace") if key_file else None
        with Client(url, key, timeout=GREETING_S, retries=0) as greeting:
            greet(greeting, url)
        client, leaving = Client(url, key), Client(url, key, retries=Retries(within_s=HURRY_S))
    except (ValueError, OSError, ImportError) as error:
        raise RefusedError(str(error)) from error
    with client, leaving:
        yield client, leaving


@contextmanager
def _removed(subject: Subject) -> Iterator[None]:
    """Remove the detector in the end; say what is left if that cannot be done."""
    try:
        yield
    finally:
        try:
            subject.remove()
        except GatewatchError as error:
            left = f"the detector {subject.name!r} is left there: delete it, or simulate again"
            typer.echo(f"gatewatch: {said(error)}; {left}", err=True)


@contextmanager
def _kept(subject: Subject) -> Iterator[None]:
    """Say that the detector is left there."""
    try:
        yield
    finally:
        if subject.made:
            typer.echo(f"The detector {subject.name!r} is left there, as asked.", err=True)


def _learn(subject: Subject, pictures: Pictures, part: Part, most: int) -> None:
    there = pictures.count(part)
    images = most if there is None else min(most, there)
    with tqdm(total=2 * images, unit="image") as bar:

        def seen(what: str) -> Callable[[int], None]:
            bar.set_description("draw" if what == "pictures" else what)
            before = bar.n

            def done(count: int) -> None:
                bar.update(before + count - bar.n)

            return done

        subject.learn(pictures, part, images, seen)


def _play(
    subject: Subject, pictures: Pictures, acts: Sequence[Act], seed: int, rate: float
) -> list[Played]:
    phases = [phase for act in acts for phase in (act.before, act.change, act.after) if phase]
    with tqdm(total=sum(phase.images for phase in phases), unit="image") as bar:

        def seen(played: Played, standing: Standing, new: Sequence[Alarm]) -> None:
            bar.set_description(played.phase.change, refresh=False)
            bar.set_postfix_str(_told(played, standing), refresh=False)
            bar.update(sum(each.images for each in player.played) - bar.n)
            for alarm in new:
                bar.write(
                    f"image {alarm.image_number}: alarm of {alarm.monitor} ({alarm.watches}), "
                    f"{played.after(alarm)} images into: {played.phase.effect.words}"
                )

        player = Player(subject, pictures, seed, rate, seen)
        player.play(acts)
    return player.played


def _told(played: Played, standing: Standing) -> str:
    """Return the share that is flagged, the state, and each monitor's evidence and threshold."""
    monitors = (f"{k} {have:.1f}/{ends:.1f}" for k, (have, ends) in standing.evidence.items())
    share = played.flagged / max(played.images, 1)
    return " ".join([f"flagged {share:.0%}", standing.state.replace("_", " "), *monitors])
