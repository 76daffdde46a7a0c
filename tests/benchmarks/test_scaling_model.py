"""Reference: the model finds the costs that made its data, and the bottleneck by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scaling import costs
from benchmarks.scaling.cluster import Load, Node, Shared, bill, nodes_for, shares, stations
from benchmarks.scaling.costs import SERVER, Costs, Measured, Work

TRUE = {
    SERVER: np.array([0.010, 0.004, 0.003, 0.002]),
    "database_s": np.array([0.0, 0.0, 0.0, 0.0005]),
    "log_bytes": np.array([100.0, 0.0, 0.0, 8000.0]),
    "blob_bytes": np.array([0.0, 0.0, 0.0, 100e3]),
    "puts": np.array([0.0, 0.0, 0.0, 0.02]),
}
WORKS = [Work(0.1), Work(1), Work(4), Work(1, 3), Work(1, kept=False), Work(0.1, 5)]
NODE = Node("a node", 16, 0.0, 1.0)
SHARED = Shared(16, 200e6, 3500, 3e9, 2.0, 0.03, 0.005)


def _measured(work: Work, noise: float = 1.0) -> Measured:
    demands = {name: float(theta @ work.terms) * noise for name, theta in TRUE.items()}
    return Measured(work, 1.0, 0.9 / demands[SERVER], demands)


def test_the_costs_that_made_the_data_are_found() -> None:
    found = costs.fitted([_measured(work) for work in WORKS])
    for name, theta in TRUE.items():
        np.testing.assert_allclose(found.theta[name], theta, rtol=1e-6, atol=1e-9 * theta.max())
    assert found.utilisation == pytest.approx(0.9)
    work = Work(2.5, 2)
    demand = 0.010 + 2.5 * 0.004 + 0.003 + 2 * 0.002
    assert found.images_per_s(work, 3) == pytest.approx(0.9 * 3 / demand)
    assert costs.error(found, _measured(work)) == pytest.approx(0, abs=1e-6)


def test_noise_of_a_tenth_moves_a_prediction_by_about_as_much() -> None:
    rng = np.random.default_rng(3)
    noisy = [_measured(work, rng.uniform(0.95, 1.05)) for work in WORKS]
    assert abs(costs.error(costs.fitted(noisy), _measured(Work(2, 2)))) < 0.1


def test_configurations_that_do_not_tell_terms_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="vary each"):
        costs.fitted([_measured(work) for work in WORKS if work.detectors == 1])


def test_the_station_that_is_full_first_comes_first() -> None:
    known = Costs(TRUE, 0.9)
    load = Load(Work(2.0), 1e6, 0.008)
    each = 0.9 * 16 / 0.020
    one, *_ = stations(known, load, NODE, 1, SHARED)
    assert (one.name, one.images_per_s) == ("the nodes' cores", pytest.approx(each))
    many = {found.name: found.images_per_s for found in stations(known, load, NODE, 1000, SHARED)}
    assert min(many, key=lambda name: many[name]) == "the way in"
    assert many["the way in"] == pytest.approx(3000)
    assert many["the database's cores"] == pytest.approx(16 / 0.0005)
    assert many["the bucket's puts"] == pytest.approx(3500 / 0.02)
    quiet = Load(replace(load.work, kept=False), 1e6, 0.008)
    silent = {found.name: found.images_per_s for found in stations(known, quiet, NODE, 1, SHARED)}
    assert silent["the bucket's puts"] == silent["the database's cores"] == float("inf")


def test_a_device_spares_the_cores_the_engine() -> None:
    known, load = Costs(TRUE, 0.9), Load(Work(2.0), 1e6, 0.008)
    fast = replace(NODE, device_images_per_s=5000.0)
    found = {each.name: each.images_per_s for each in stations(known, load, fast, 2, SHARED)}
    assert found["the devices"] == 10_000
    assert found["the nodes' cores"] == pytest.approx(0.9 * 32 / 0.012)


def test_nodes_and_their_bill() -> None:
    known, load = Costs(TRUE, 0.9), Load(Work(2.0), 1e6, 0.008)
    each = 0.9 * 16 / 0.020
    assert nodes_for(each * 0.99, known, load, NODE, SHARED) == 1
    assert nodes_for(each * 1.01, known, load, NODE, SHARED) == 2
    found = bill(1e6, 2, 3, known, load, NODE, SHARED)
    assert found.nodes == 48
    assert found.databases == 144
    assert found.files == pytest.approx(1e6 * 0.02 / 1000 * 0.005 + 1e6 * 100e3 / 1e9 * 0.03 / 30)
    assert found.whole == pytest.approx(found.nodes + found.databases + found.files)


def test_how_many_shared_parts_it_takes() -> None:
    known, load = Costs(TRUE, 0.9), Load(Work(2.0), 1e6, 0.008)
    needed = shares(9001, stations(known, load, NODE, 10, SHARED))
    assert needed["the way in"] == 4
    assert needed["the database's log"] == 1
    assert "the nodes' cores" not in needed
