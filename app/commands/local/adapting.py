"""Gates adapted in this process, in the words of the client."""

from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.commands.common import Files, answer, name_of
from app.intake.local_images import LocalImages
from app.learning import adapting
from app.learning.adapt_options import Options
from app.schemas.adapt import AdaptedGates
from app.settings import Settings
from gatewatch import answers


def adapt(settings: Settings, files: Files, options: Options, out: Path) -> answers.AdaptedGates:
    """Adapt gates to normal images; write them if they help. Raises as ``adapting.adapt``."""
    images = LocalImages.of([path for _, path in files], called=name_of)
    with (
        threadpool_limits(1, user_api="blas"),  # systems this small lose time to more
        tqdm(delay=0.5) as bar,  # what is refused at once needs no bar
    ):

        def tell(task: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(task, refresh=False)
            bar.update(done - bar.n)

        outcome = adapting.adapt(settings, images, options, tell)
    sha256 = outcome.adapted.save(out) if outcome.adapted.report.kept else None
    return answer(answers.AdaptedGates, AdaptedGates.of(outcome, "", sha256))
