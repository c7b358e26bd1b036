"""Mirrors cifar_lessons/tuning/report.py."""

from dataclasses import replace

from cifar_lessons import runs
from cifar_lessons.tuning import report
from cifar_lessons.tuning.trials import Repeats, best


def test_without_a_record_everything_says_so():
    command = runs.study_command("tuning")
    assert report.card(None) == f"**Not recorded yet:** `{command}`"
    for table in (report.leaders_table(None), report.repeats_table(None)):
        assert table.rows == []
        assert "Nothing is recorded yet" in table._repr_html_()
    assert "not recorded yet" in report.noise_note(None)


def test_the_card_names_all_that_a_reader_needs(tuning):
    said = report.card(tuning)
    for part in (
        *("`tuning_base`, 23 trials", "15 complete", "7 pruned", "1 diverged", "1 failed"),
        *("20 repeats", "Made-up CPU, 1 thread, bf16", "2 processes", "torch 9.8.7"),
        *("Optuna 6.5.4", "commit abcdef0", "10 minutes of training"),
    ):
        assert part in said, part


def test_leaders_come_from_the_top(tuning):
    table = report.leaders_table(tuning, most=3)
    assert len(table.rows) == 3
    assert table.rows[0][0] == str(best(tuning.trials).number)
    shown = [float(str(row[-1]).split()[0]) for row in table.rows]
    assert shown == sorted(shown, reverse=True)
    assert "best 3 of 15 complete" in table.caption


def test_repeats_have_a_command_that_trains_them(tuning):
    table = report.repeats_table(tuning)
    assert [row[0] for row in table.rows] == [r.label for r in tuning.repeats]
    assert str(table.rows[1][-1]) == (
        "cifar-lessons train tuning_base --set batch_size=128 --set optim.peak_lr=0.1 "
        "--set optim.weight_decay=0.0005"
    )


def test_noise_is_told_with_what_the_best_trial_lost(tuning):
    said = report.noise_note(tuning)
    assert "a standard deviation of 0.32 points" in said
    assert "lost 0.40 points when they were trained from fresh seeds" in said
    assert "optim.peak_lr" in said
    first = Repeats("best", tuning.repeats[0].settings, {0: 0.9, 1: 0.91})
    assert "gained" in report.noise_note(replace(tuning, repeats=(first,)))
