"""A recorded search in words and tables; what is not recorded yet is said, with the command."""

from cifar_lessons.runs import study_command
from cifar_lessons.tables import Cell, Markdown, Table, number_of
from cifar_lessons.tuning.space import options
from cifar_lessons.tuning.trials import Tuning, best, counted, noise, within_noise


def card(tuning: Tuning | None) -> Markdown:
    """Return one line that says how a search was made, or how to make it."""
    if tuning is None:
        return Markdown(f"**Not recorded yet:** `{study_command('tuning')}`")
    facts = tuning.provenance
    states = [t.state for t in tuning.trials]
    minutes = facts["train_seconds"] / 60
    parts = [
        f"`{tuning.recipe['name']}`, {len(counted(tuning.trials))} trials",
        *(f"{states.count(s)} {s}" for s in ("complete", "pruned", "diverged", "failed")),
        f"{sum(len(r.accuracies) for r in tuning.repeats)} repeats",
        f"{facts['device']}, {number_of(facts['threads'], 'thread')}, {facts['precision']}",
        f"{facts['processes']} process{'es' if facts['processes'] > 1 else ''}",
        f"torch {facts['packages']['torch']}, Optuna {facts['packages']['optuna']}",
        "commit " + " / ".join(c[:7] for c in facts["git_commits"]),
        f"{minutes:.0f} minutes of training (cores may have been shared)",
    ]
    return Markdown(f"*Recorded: {', '.join(parts)}.*")


def leaders_table(tuning: Tuning | None, most: int = 8) -> Table:
    """Return the best trials of a search, from the top.

    Args:
        tuning: A recorded search.
        most: Rows.
    """
    fields = [r.field for r in tuning.space] if tuning else ["settings"]
    columns = ["Trial", *fields, "Validation accuracy"]
    if tuning is None:
        return Table(columns, [], "Nothing is recorded yet.")
    done = sorted((t for t in tuning.trials if t.state == "complete"), key=lambda t: -t.accuracy)
    rows = [
        [str(t.number), *(f"{t.settings[f]:g}" for f in fields), f"{100 * t.accuracy:.2f} %"]
        for t in done[:most]
    ]
    return Table(columns, rows, f"The best {len(rows)} of {len(done)} complete trials.")


def repeats_table(tuning: Tuning | None) -> Table:
    """Return what the repeated settings gave: mean and spread, and how to train with them."""
    columns = ["Settings", "Mean", "Standard deviation of a run", "Seeds", "Train with them"]
    if tuning is None or not tuning.repeats:
        return Table(columns, [], "Nothing is recorded yet.")
    name = tuning.recipe["name"]
    rows: list[list[Cell | str]] = [
        [
            r.label,
            f"{100 * r.mean:.2f} %",
            f"{100 * r.sd:.2f} points",
            str(len(r.accuracies)),
            Cell(f"cifar-lessons train {name} {options(r.settings)}", code=True),
        ]
        for r in tuning.repeats
    ]
    return Table(columns, rows, "Validation accuracy of the same settings from fresh seeds.")


def noise_note(tuning: Tuning | None) -> Markdown:
    """Return how far chance moves a run, how many trials it covers, and what the best one lost."""
    leader = best(tuning.trials) if tuning else None
    if tuning is None or leader is None or not tuning.repeats:
        return Markdown("*How far chance moves a run is not recorded yet.*")
    first, close = tuning.repeats[0], within_noise(tuning)
    lost = 100 * (leader.accuracy - first.mean)
    spans = []
    for r in tuning.space:
        values = [t.settings[r.field] for t in close]
        if values:
            spans.append(f"{r.field} {min(values):g} to {max(values):g}")
    text = (
        "For no other reason than its seed, one run differs from the next by a standard deviation "
        f"of {100 * noise(tuning.repeats):.2f} points. {len(close)} trials reach the best "
        "settings' mean less two of these. "
    )
    if spans:
        text += f"They range over {', '.join(spans)}. "
    word = "lost" if lost > 0 else "gained"
    return Markdown(
        f"{text}The trial that was picked had {100 * leader.accuracy:.2f} % in the search; its "
        f"settings {word} {abs(lost):.2f} points when they were trained from fresh seeds."
    )
