from __future__ import annotations

from helpers.run_folders import LineMaker, RunMaker

from dslm.report.curves import charts
from dslm.report.record import read_record


def test_every_kind_of_answer_has_a_chart_with_its_validation(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [
        training(step, 5.0 - step / 10, masked_accuracy=step / 20, pair_accuracy=0.5)
        for step in range(1, 11)
    ]
    lines.append({"step": 10, "validation_loss": 4.2, "validation_pair_accuracy": 0.75})
    found = {chart.title: chart for chart in charts(read_record(make_run(lines)))}
    assert [point.value for point in found["Pair accuracy"].lines[1].points] == [0.75]
    (masked,) = found["Masked accuracy"].lines
    assert masked.points[-1].value == 0.5


def test_a_run_without_answers_has_no_such_chart(make_run: RunMaker, training: LineMaker) -> None:
    lines = [training(step, 5.0) for step in range(1, 4)]
    titles = [chart.title for chart in charts(read_record(make_run(lines)))]
    assert not any("accuracy" in title for title in titles)
