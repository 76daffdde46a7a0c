"""Law: SciPy brings a BLAS of its own, and no limit of threads reaches one that is loaded later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.cpu_count() == 1, reason="with one core every BLAS has one thread anyway")
def test_what_judges_loads_all_of_blas_before_its_threads_are_limited() -> None:
    code = (
        "import detector.detector, threadpoolctl as t\n"
        "with t.threadpool_limits(1, user_api='blas'):\n"
        "    import scipy.linalg, scipy.special, scipy.stats\n"
        "    print({pool['num_threads'] for pool in t.threadpool_info() "
        "if pool['user_api'] == 'blas'})\n"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=free, capture_output=True, text=True
    )
    assert done.stdout == "{1}\n", done.stderr
