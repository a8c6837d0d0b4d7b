from __future__ import annotations

from helpers.run_folders import LineMaker, RunMaker

from dslm.report.curves import charts
from dslm.report.figures import figures
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


def test_metrics_of_a_task_have_charts_and_the_one_that_chooses_its_best(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [training(step, 5.0 - step, accuracy=step / 4) for step in range(1, 4)]
    for step, f1 in ((2, 0.75), (3, 0.5)):
        measured = {"validation_f1": f1, "validation_accuracy": 0.5, "validation_tag_loss": 2.0}
        lines.append({"step": step, "validation_loss": 2.0, **measured})
    run = make_run(lines, config={"objective": {"kind": "tagging"}, "best_by": "f1"})
    found = {chart.title: chart for chart in charts(read_record(run))}
    assert [point.value for point in found["F1"].lines[0].points] == [0.75, 0.5]
    assert [(note.text, note.step) for note in found["F1"].notes] == [("best, 0.7500 at step 2", 2)]
    assert [line.name for line in found["Accuracy"].lines] == ["training", "validation"]
    assert not found["Accuracy"].notes
    assert not {"Tag loss", "Loss"} & (found.keys() - {"Loss"})
    shown = {figure.label: figure for figure in figures(read_record(run))}
    assert (shown["Validation f1"].value, shown["Validation f1"].hint) == (
        "0.5000",
        "best 0.7500 at step 2",
    )


def test_a_run_without_answers_has_no_such_chart(make_run: RunMaker, training: LineMaker) -> None:
    lines = [training(step, 5.0) for step in range(1, 4)]
    titles = [chart.title for chart in charts(read_record(make_run(lines)))]
    assert not any("accuracy" in title for title in titles)
