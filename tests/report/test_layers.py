from __future__ import annotations

from helpers.run_folders import LineMaker, RunMaker

from dslm.report import write_report
from dslm.report.layers import COLUMNS, SHADES, heat_maps
from dslm.report.record import read_record


def test_each_norm_has_a_cell_in_the_row_of_its_layer_and_the_shade_of_its_size(
    make_run: RunMaker, training: LineMaker
) -> None:
    sizes = [{2: 1.0, 10: 100.0}, {2: 10.0, 10: None}]
    lines = [
        training(step, 5.0, **{f"gradient_norm/{layer}": value for layer, value in norms.items()})
        for step, norms in zip((5, 15), sizes, strict=True)
    ]
    lines.insert(1, training(10, 5.0, gradient_norm=3.0))
    (found,) = heat_maps(read_record(make_run(lines)))
    assert (found.layers, found.steps) == ([2, 10], [5, 15])
    assert (found.low, found.high) == ("1", "100")
    cells = {n: path for n, path in enumerate(found.shades) if path}
    middle = SHADES // 2
    assert cells == {0: "M0 0h1v1h-1z", middle: "M1 0h1v1h-1z", SHADES - 1: "M0 1h1v1h-1z"}


def test_a_long_run_is_thinned_and_its_maps_stay_small(
    make_run: RunMaker, training: LineMaker
) -> None:
    norms = {f"{kind}_norm/{n}": n + 1.0 for kind in ("gradient", "weight") for n in range(26)}
    long = make_run([training(step, 5.0, **norms) for step in range(1, 1001)], name="long")
    plain = make_run([training(step, 5.0) for step in range(1, 1001)], name="plain")
    first, second = heat_maps(read_record(long))
    assert len(first.steps) == len(second.steps) <= COLUMNS
    sizes = [write_report(run).stat().st_size for run in (plain, long)]
    assert sizes[1] - sizes[0] < 100_000
    assert heat_maps(read_record(plain)) == []
