"""What the tables of clusters assume and nobody measured here: machines, limits, prices.

Prices are round figures of a public cloud's lists for machines on demand, in US dollars; put in
your own, and run it again. They change what a day costs, not which station is full first.
"""

from benchmarks.scaling.cluster import Node, Shared

NODES = (
    Node("CPU node, 16 cores", 16, 0.0, 0.70),
    Node("GPU node, 16 cores", 16, 8000.0, 3.00),
)
"""The device's images a second are a round figure for one large GPU; none was measured here."""

SHARED = Shared(
    database_cores=16,
    log_bytes_per_s=200e6,
    bucket_puts_per_s=3500.0,
    network_bytes_per_s=25e9 / 8,
    database_price_per_hour=2.00,
    gigabyte_month_price=0.023,
    thousand_puts_price=0.005,
)
COUNTS = (1, 10, 100, 1000)
IMAGES_PER_DAY = 1e9
