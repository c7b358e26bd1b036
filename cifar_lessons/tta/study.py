"""`cifar-lessons study tta`: every recorded network with weights, and every set of views.

Each view goes through a network once, and all sets are averaged from that. A network that was
recorded with the same weights is not measured again, so the command goes on where it was stopped,
and after new runs are recorded it looks at these alone. What is scored on test is fixed in
`view_sets`; weights of views are learned on the validation images, where a run held some out.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from cifar_lessons import building, experiment, origins, recording, runs, runtime
from cifar_lessons.atomic import alone_in
from cifar_lessons.config import DataConfig, Recipe
from cifar_lessons.data.cifar import Split
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.merging import Floats, Merge, learn, merge
from cifar_lessons.evaluation.metrics import (
    Predictions,
    confusion,
    mcnemar,
    negative_log_likelihood,
)
from cifar_lessons.evaluation.tta import Halves, logits_of_views
from cifar_lessons.evaluation.view_sets import PLAIN, VIEW_SETS, distinct_views
from cifar_lessons.fields import from_dict
from cifar_lessons.runs import Run
from cifar_lessons.runtime import Runtime
from cifar_lessons.tta import report
from cifar_lessons.tta.results import (
    MERGED,
    REVISION,
    SETS,
    STUDY,
    Recorded,
    is_current,
    kept_runs,
    networks,
    sets_as_json,
)

Facts = dict[str, Any]  # ready for JSON
Logits = dict[str, Floats]  # by view


def study_tta(
    root: Path,
    *,
    record: bool = False,
    device: str = "auto",
    command: str = "",
    outputs: Path = Path("outputs"),
) -> str:
    """Measure what is not measured yet, and return all of it as text.

    Args:
        root: Folder of the data.
        record: Keep the study with the recorded runs, after each network.
        device: See `runtime.detect`.
        command: What the user typed.
        outputs: Below it, in `studies/`, lies the lock of who records.

    Raises:
        UserError: Nothing is there to look at, it could not be recorded in the end, or another
            process is recording it.
    """
    if not record:
        return _study(root, record, device, command)
    origins.require_committed()
    with alone_in(outputs / "studies", lock=f".{STUDY}.running"):
        return _study(root, record, device, command)


def _study(root: Path, record: bool, device: str, command: str) -> str:
    kept = kept_runs()
    if not kept:
        raise UserError(
            f"no recorded run in {runs.runs_root()} keeps weights; record one first, such as "
            "`cifar-lessons record resnet18_w16`"
        )
    here = runtime.detect(device=device)
    values = _so_far()
    provenance = origins.provenance(command=command, data_digest="", **runtime.machine(here))
    for number, run in enumerate(kept, start=1):
        assert run.weights is not None
        before = values["networks"].get(run.name)
        where = f"{run.name} ({number} of {len(kept)})"
        if before and before["facts"]["weights"] == run.weights["sha256"]:
            print(f"{where}: measured already", flush=True)
            continue
        print(f"{where}: {len(distinct_views())} views", flush=True)
        entry, digest = measure(run, root, here)
        provenance["data_digest"] = digest
        commit = provenance["git_commit"] + ("+dirty" if provenance["git_dirty"] else "")
        facts = {k: provenance[k] for k in ("device", "threads", "started_at")}
        entry["facts"] |= {**facts, "commit": commit, "torch": provenance["packages"]["torch"]}
        values["networks"][run.name] = entry
        if record:
            recording.record_study(STUDY, values, provenance=provenance)
    text = report.as_text(Recorded(networks(values), provenance, ()))
    path = runs.runs_root() / "studies" / f"{STUDY}.json"
    return f"{text}\n\nrecorded {path}" if record else text


def _so_far() -> Facts:
    """Return what is recorded of today's sets, with room for more."""
    study = runs.find_study(STUDY)
    values: Facts = study["values"] if study else {}
    if values and is_current(values):
        return values
    return {"revision": REVISION, "sets": sets_as_json(), "networks": {}}


def measure(run: Run, root: Path | None, here: Runtime) -> tuple[Facts, str]:
    """Return what the views of one recorded network gave, and the digest of the data.

    Args:
        run: It keeps its weights.
        root: Folder of the data.
        here: Device and precision.
    """
    began = time.monotonic()
    recipe = from_dict(Recipe, run.recipe)
    data = experiment.load_data(recipe, root)
    model = building.load_model(run, here)
    test = _look(model, data.test, recipe.data, here)
    found = _scores(test, data.test)
    val: Facts | None = None
    learned: Facts = {"weights": {}, "test": None}
    if len(data.val):
        logits = _look(model, data.val, recipe.data, here)
        val = _scores(logits, data.val)
        weights = learn(logits, _labels(data.val))
        cell = _cell(test, weights, "logits", _labels(data.test))
        learned = {"weights": {k: round(w, 6) for k, w in weights.items()}, "test": cell}
    facts = {
        "key": run.key,
        "weights": run.weights["sha256"] if run.weights else "",
        "dataset": recipe.data.dataset,
        "classes": list(data.classes),
        "recorded_accuracy": run.final["test_accuracy"],  # of its logits, in float32
        "precision": here.precision,
        "seconds": round(time.monotonic() - began, 1),
    }
    return {"facts": facts, "test": found, "val": val, "learned": learned}, data.digest


def _look(model: Halves, split: Split, data: DataConfig, here: Runtime) -> Logits:
    found: Logits = {}
    found |= logits_of_views(
        model, split, data, views=distinct_views(), runtime=here, progress=True
    )
    return found


def _labels(split: Split) -> np.ndarray:
    labels: np.ndarray = split.labels.cpu().numpy()
    return labels


def _scores(logits: Logits, split: Split) -> Facts:
    """Return what is stored of one split; see `results.Scores`."""
    labels = _labels(split)
    alone = {view: Predictions(rows, labels) for view, rows in logits.items()}
    by_class = {"none": confusion(alone[PLAIN]).diagonal().tolist()}
    cells: dict[str, dict[str, list[Any]]] = {}
    for name in SETS:
        weights = dict(VIEW_SETS[name].weights)
        cells[name] = {how: _cell(logits, weights, how, labels) for how in MERGED}
        merged = Predictions(merge(logits, weights), labels)
        by_class[name] = confusion(merged).diagonal().tolist()
    return {
        "images": len(labels),
        "right": int(alone[PLAIN].correct.sum()),
        "loss": round(negative_log_likelihood(alone[PLAIN]), 5),
        "views": {view: int(p.correct.sum()) for view, p in alone.items()},
        "sets": cells,
        "by_class": by_class,
    }


def _cell(logits: Logits, weights: dict[str, float], how: Merge, labels: np.ndarray) -> list[Any]:
    """Return images corrected, images broken, and the loss, of a mean beside one look."""
    merged = Predictions(merge(logits, weights, how), labels)
    found = mcnemar(Predictions(logits[PLAIN], labels), merged)
    return [found.only_second, found.only_first, round(negative_log_likelihood(merged), 5)]
