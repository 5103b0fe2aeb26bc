# SPDX-License-Identifier: MIT
"""The benches still measure: one short run of what needs no guest. (No figure is judged: that is for people.)"""

from softnet import bench_nic


def test_device_alone():
    """Every case has a figure of both devices."""
    table = bench_nic.device_alone(3)
    assert len(table.rows) >= 12
    for name, row in table.rows.items():
        assert set(row) == set(bench_nic.NICS), name
        # The reception alone is a difference, and of any case one repetition in three may be lost in what else the machine did.
        assert name.startswith("RX alone") or name.endswith("min") or all(figure > 0 for figure in row.values()), (name, row)
