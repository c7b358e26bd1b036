"""The rules that hold the package together: who may import whom, when, and at what price."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cifar_lessons

PACKAGE = Path(cifar_lessons.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# --- who may import whom ----------------------------------------------------------------------

# The first rule whose name is the module, or a package around it, holds; so a module's own rule
# stands above its package's. Everything may import itself. Lower layers come first.
LIBRARY = [
    *("atomic", "config", "data", "distributed", "evaluation", "models", "objectives", "runtime"),
    "training",
]
RULES: dict[str, list[str]] = {
    "errors": [],
    "atomic": ["errors"],
    "config": ["errors"],
    "fields": ["config", "errors"],
    "distributed": ["errors"],
    "joining": ["distributed", "errors"],
    "runtime": ["distributed", "errors"],
    # what a network must know of the hardware is passed in
    "models": ["enas.space", "errors"],
    "data": ["config", "distributed", "errors", "runtime"],
    "objectives": ["config", "data", "distributed"],
    "training": ["atomic", "config", "data", "distributed", "errors", "objectives", "runtime"],
    # numpy alone
    "evaluation.metrics": [],
    "evaluation.cross_validation": [],
    "evaluation.label_errors": [],
    "evaluation.view_sets": ["errors"],
    "evaluation.merging": ["errors"],  # and scipy
    "evaluation.calibration": ["evaluation.metrics"],
    "evaluation.mistakes": ["evaluation.calibration", "evaluation.metrics"],
    "evaluation.contrasts": ["evaluation.metrics"],
    "evaluation.resampling": ["evaluation.metrics"],
    "evaluation.resolution": ["evaluation.metrics"],
    "evaluation.outsiders": [],
    "evaluation": ["config", "data", "errors", "objectives", "runtime"],
    "few_labels": ["config"],
    "speedruns": ["config"],
    # Searching for a network. What says which there are, reads and draws them needs no torch.
    "enas.space": [],
    "enas.cost": ["enas.space"],
    "enas.ranking": [],
    "enas.words": [],
    "enas.arms": ["config", "enas.cost", "enas.space", "errors", "runs"],
    "enas.results": [
        *("enas.arms", "enas.ranking", "enas.space", "errors", "evaluation.metrics", "recipes"),
        "runs",
    ],
    "enas.figures": ["canvas", "config", "enas.results", "enas.space"],
    "enas.report": [
        *("enas.arms", "enas.cost", "enas.results", "enas.space", "recipes", "reports", "runs"),
        "tables",
    ],
    "enas.command": [
        *("config", "enas", "errors", "experiment", "recipes", "runs", "typed"),
    ],
    "enas.live": ["config", "enas", "notebook"],
    "enas": ["building", "recording", "sitting", *LIBRARY, "errors", "experiment"],
    "recipes": ["config", "enas.arms", "errors", "few_labels", "speedruns"],
    "origins": ["errors"],
    "runs": ["config", "errors", "evaluation.metrics"],
    "recording": ["atomic", "config", "errors", "evaluation.metrics", "runs"],
    "studies": [
        "data",
        "distilling.share",
        "errors",
        "models",
        "pretraining.probes",
        "recipes",
        "robustness",
        "runs",
    ],
    # The ledger and the figures, from recorded runs alone.
    "tables": [],
    "verdicts": ["evaluation.metrics"],
    "targets": [],
    "judges": [
        *("distilling.results", "enas.arms", "enas.results", "enas.space"),
        "evaluation.contrasts",
        *("evaluation.cross_validation", "evaluation.metrics", "pretraining.results", "targets"),
        *("tta.results", "verdicts"),
    ],
    "claims": [
        *("config", "errors", "evaluation.metrics", "judges", "recipes", "runs", "tables"),
        *("pretraining.results", "tta.results", "verdicts"),
    ],
    "reports": ["config", "evaluation.metrics", "recipes", "runs", "tables", "targets"],
    "canvas": [],
    "plots": ["canvas", "evaluation.metrics", "reports"],
    "labelling": [],
    "overview": ["canvas", "evaluation.metrics", "labelling", "reports", "runs"],
    "evaluation_plots": [
        *("canvas", "evaluation.calibration", "evaluation.contrasts", "evaluation.metrics"),
        *("evaluation.resampling", "evaluation.resolution"),
    ],
    "evaluation_reports": [
        *("evaluation.calibration", "evaluation.metrics", "evaluation.mistakes"),
        *("evaluation.resolution", "reports", "runs", "tables", "verdicts"),
    ],
    "interactive.page": [],
    "interactive.filters": ["interactive.page", "tables"],
    "interactive.explorer": ["evaluation.metrics", "evaluation.mistakes", "interactive.page"],
    "interactive.temperature": [
        *("evaluation.calibration", "evaluation.metrics", "evaluation_plots"),
    ],
    "interactive": [],
    "inside_plots": ["canvas"],
    "schedule_plots": ["canvas", "config", "reports", "targets", "training.schedule"],
    # On top: the one place where a recipe becomes objects, and who calls it.
    "building": [*LIBRARY, "errors", "runs"],
    "sitting": ["atomic", "config", "distributed", "errors", "origins", "runs", "runtime"],
    "experiment": ["building", "recording", "sitting", *LIBRARY, "errors", "runs"],
    # Weights that come with the package. What reads their cards needs no torch.
    "pretrained.ship": ["recording", "atomic", "errors", "pretrained", "recipes", "runs"],
    "pretrained": ["building", "errors", "models", "runs", "runtime"],
    # A folder of one's own pictures.
    "finetuning.card": ["errors", "evaluation.metrics", "runs"],
    "finetuning.layout": ["errors"],
    "finetuning.folder": ["data", "errors", "finetuning.layout", "runtime"],
    "finetuning.head": ["config", "data", "models", "runtime"],
    "finetuning.exporting": [
        "building",
        *("atomic", "config", "deploy", "finetuning.folder", "runs", "runtime"),
    ],
    "finetuning.command": [
        *("atomic", "deploy.command", "errors", "pretrained", "runs", "runtime", "typed"),
        "finetuning",
    ],
    "finetuning": ["building", "recording", "sitting", *LIBRARY, "errors", "experiment", "runs"],
    "predicting": ["building", "config", "data", "deploy", "pretrained", "runs", "runtime"],
    "teaching": [
        "building",
        "config",
        "data",
        "errors",
        "recipes",
        "runs",
        "runtime",
        "training",
    ],
    "starting": ["building", "config", "recipes", "teaching"],
    "notebook": ["building", *LIBRARY, "errors", "experiment", "plots", "tables"],
    # Spoiled images, and test images that are in train as well.
    "robustness.answers": ["atomic", "errors"],
    "robustness.tables": ["evaluation.metrics", "runs", "tables"],
    "robustness.figures": ["canvas"],
    "robustness": ["building", *LIBRARY, "errors", "recipes", "runs"],
    "kept": ["building", *LIBRARY, "notebook", "recipes", "runs"],
    # Searching the settings of a recipe. What reads and draws a search needs no torch, no Optuna.
    "tuning.space": ["config", "errors"],
    "tuning.trials": ["runs", "tuning.space"],
    "tuning.surface": ["tuning.space", "tuning.trials"],
    "tuning.report": ["runs", "tables", "tuning.space", "tuning.trials"],
    "tuning.figures": ["canvas", "tuning.space", "tuning.surface", "tuning.trials"],
    "tuning.command": [
        "origins",
        "recording",
        *("config", "errors", "experiment", "recipes", "runtime", "tuning", "typed"),
    ],
    "tuning.live": ["config", "notebook", "tuning"],
    "tuning": [
        "building",
        *LIBRARY,
        "errors",
        "experiment",
        "recipes",
    ],
    # What several looks at a test image gain. What reads and draws it needs no torch.
    "tta.results": [
        *("config", "evaluation.merging", "evaluation.metrics", "evaluation.view_sets"),
        *("recipes", "runs"),
    ],
    "tta.report": [
        *("evaluation.merging", "evaluation.metrics", "evaluation.view_sets", "recipes", "runs"),
        *("tables", "tta.results"),
    ],
    "tta.figures": ["canvas", "evaluation.merging", "tta.results"],
    "tta": ["building", "origins", "recording", *LIBRARY, "errors", "experiment", "runs"],
    # Cross-validation. What reads and draws it needs no torch.
    "folds.study": ["origins", "recording", "config", "errors", "recipes", "runs"],
    "folds.out_of_fold": [
        *("errors", "evaluation.calibration", "evaluation.label_errors", "evaluation.metrics"),
        *("recipes", "runs"),
    ],
    "folds.report": [
        *("evaluation.cross_validation", "evaluation.label_errors", "evaluation.metrics"),
        *("folds.out_of_fold", "folds.study", "recipes", "runs", "tables"),
    ],
    "folds.figures": ["canvas"],
    "folds.live": [*LIBRARY, "experiment", "folds", "notebook", "plots", "tables"],
    "folds.command": [
        "recording",
        *("config", "errors", "experiment", "recipes", "runs", "runtime", "typed"),
        *("folds.report", "folds.study", "folds.work"),
    ],
    "folds": [
        *("atomic", "config", "data", "distributed", "errors", "experiment", "runs", "runtime"),
        "sitting",
    ],
    # What a teacher is worth. What reads and draws it needs no torch.
    "distilling.doubts": ["evaluation.merging", "evaluation.metrics", "recipes", "runs"],
    "distilling.results": ["config", "recipes", "runs"],
    "distilling.report": [
        *("distilling.results", "evaluation.metrics", "recipes", "reports", "runs", "tables"),
    ],
    "distilling.figures": ["canvas", "distilling.doubts", "distilling.results"],
    "distilling": ["building", *LIBRARY, "experiment", "recipes", "runs"],
    # Learning without labels, then from few. What reads and draws it needs no torch.
    "pretraining.results": ["evaluation.metrics", "recipes", "runs"],
    "pretraining.report": [
        *("evaluation.metrics", "pretraining.results", "recipes", "runs", "tables"),
    ],
    "pretraining.figures": [
        *("canvas", "evaluation.metrics", "pretraining.report", "pretraining.results"),
    ],
    "pretraining": ["building", *LIBRARY, "errors", "experiment", "recipes", "runs"],
    # Measuring speed: it builds the steps that it times.
    "interleave": ["runtime"],
    "plain_loop": ["config", "data"],
    "throughput": ["atomic", "errors", "tables"],
    "speed.conditions": ["origins", "interleave", "runtime"],
    "speed.wrong": ["errors"],
    "speed.tables": ["runs", "tables", "throughput"],
    "speed.projection": ["config", "tables"],
    "speed.figures": ["canvas", "speed.tables"],
    "speed.ideas": ["canvas", "evaluation.metrics", "reports", "speedruns", "tables"],
    "speed.minutes": ["canvas", "evaluation.metrics", "reports", "speedruns", "tables"],
    "speed": [
        "building",
        *(*LIBRARY, "benchmark", "errors", "experiment", "interleave", "plain_loop", "recipes"),
        "speedruns",
        "throughput",
    ],
    "benchmark": [
        "building",
        *(*LIBRARY, "errors", "interleave", "plain_loop", "recipes"),
        *("speed.conditions", "throughput"),
    ],
    # Other engines than PyTorch.
    "deploy.model_file": ["errors"],
    "deploy.pixels": ["config", "errors"],
    "deploy.backends": ["config", "deploy.model_file", "deploy.pixels", "errors"],
    "deploy.export": [*("config", "errors"), "deploy"],
    "deploy.quantize": ["deploy.model_file", "deploy.pixels", "errors"],
    "deploy.half": ["deploy.model_file", "errors"],
    "deploy.tensorrt": ["deploy.model_file", "deploy.pixels", "errors"],
    # Timing them. What reads and draws the result needs no torch.
    "deploy.runtimes": [
        *("config", "deploy.backends", "deploy.model_file", "deploy.tensorrt", "models"),
        "runtime",
    ],
    "deploy.latency_worker": ["deploy.runtimes", "errors"],
    "deploy.latency_tables": ["deploy.runtimes", "runs", "speed.tables", "tables", "throughput"],
    "deploy.latency_figures": ["canvas", "deploy.latency_tables", "deploy.runtimes"],
    "deploy.prepared": ["building", *LIBRARY, "deploy", "recipes", "runs"],
    "deploy.benchmark": ["data", "deploy", "errors", "runtime", "speed", "throughput"],
    "deploy.any_size": ["deploy.model_file", "deploy.pixels", "errors"],
    "deploy.chromium": ["errors"],
    "deploy.demo": [
        *("atomic", "deploy.any_size", "deploy.model_file", "errors", "interactive.page"),
    ],
    "deploy.demo_samples": ["data", "deploy.demo"],
    "deploy.demo_command": ["data", "deploy", "errors"],
    "deploy.shipped": [
        "building",
        *(*LIBRARY, "deploy", "errors", "interactive.page", "recipes", "runs"),
        "tables",
    ],
    "deploy.browser_report": ["runs", "tables", "throughput"],
    "deploy.browser_study": ["data", "deploy", "errors", "runtime", "speed.conditions"],
    "deploy.command": [
        "building",
        "atomic",
        "config",
        "deploy",
        "errors",
        "experiment",
        "runs",
        "runtime",
    ],
    "deploy": [],
    "serving.batching": [],
    "serving.uploads": ["data", "errors"],
    "serving.app": ["deploy.backends", "deploy.model_file", "serving"],
    "serving.command": ["deploy.command", "deploy.model_file", "errors", "serving"],
    "serving": [],
    # On the command line, what computes is imported inside the function that needs it.
    "typed": ["errors"],
    "bench_commands": [
        "data.cifar",
        "origins",
        "recording",
        "benchmark",
        "deploy",
        "errors",
        "scaling",
        "speed",
        "typed",
    ],
    "training_commands": [
        *("config", "errors", "experiment", "folds.command", "joining", "recipes", "runs"),
        *("starting", "teaching", "typed"),
    ],
    "evaluation_commands": [
        *("building", "config", "data.picture", "errors", "evaluation", "experiment"),
        *("predicting", "runs", "runtime"),
    ],
    "torchrun": ["errors"],
    "scaling_worker": ["building", *LIBRARY, "errors", "joining", "recipes"],
    "scaling": [
        *("data", "errors", "recipes", "runs", "runtime", "speed.conditions", "tables"),
        *("throughput", "torchrun"),
    ],
    "cli": ["*"],
    "__main__": ["cli"],
}
# Who knows recipes may also turn them into plain data and back.
for _rule, _allowed in RULES.items():
    if "config" in _allowed and _rule != "fields":
        _allowed.append("fields")


def dotted(path: Path) -> str:
    """`cifar_lessons/data/cifar.py` -> `data.cifar`; a package's `__init__.py` -> its name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {dotted(path) for path in MODULES}


def within(module: str, names: list[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module of ours that a file imports, inside functions too, with its line."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "cifar_lessons":
                    yield node.lineno, name.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import from cifar_lessons, not from '.'"
            package, _, inner = (node.module or "").partition(".")
            if package == "cifar_lessons":
                for name in node.names:
                    below = f"{inner}.{name.name}".strip(".")
                    yield node.lineno, below if below in KNOWN else inner


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_modules_import_only_what_their_layer_may(path):
    module = dotted(path)
    if not module:
        assert list(imports(path)) == [], "cifar_lessons/__init__.py imports nothing of ours"
        return
    rule = next((name for name in RULES if within(module, [name])), None)
    assert rule, f"{module} has no rule: say in RULES which modules of ours it may import"
    if RULES[rule] == ["*"]:
        return
    for line, imported in imports(path):
        assert within(imported, [rule, *RULES[rule]]), (
            f"cifar_lessons/{path.relative_to(PACKAGE)}:{line} imports {imported!r}; {rule} may "
            f"import only {', '.join(RULES[rule]) or 'nothing of ours'}. Pass in what it needs, or "
            "move the code to the layer above"
        )


def test_the_rules_name_modules_that_exist():
    named = {*RULES, *(name for allowed in RULES.values() for name in allowed)} - {"*"}
    assert sorted(name for name in named if name not in KNOWN) == []


# --- one place for the gradient ---------------------------------------------------------------

# The tutorials' loop, which `bench` measures ours against, is copied as they print it.
# A controller is no network of images: it learns from rewards.
OWN_BACKWARD = {"training.step", "plain_loop", "enas.policy"}


def test_one_function_calls_backward():
    callers = {
        dotted(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "backward"
    }
    assert callers <= OWN_BACKWARD, (
        "let train_step do it: scaling and clipping are easy to misorder"
    )
    assert "training.step" in callers


# --- what an import costs and touches ---------------------------------------------------------


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment},
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT_TORCH = [
    *("atomic", "bench_commands", "canvas", "claims", "cli", "config", "distributed", "errors"),
    *("evaluation.calibration", "evaluation.contrasts", "evaluation.mistakes"),
    *("evaluation_commands", "fields", "training_commands"),
    *("evaluation.resampling", "evaluation_plots", "evaluation_reports"),
    *("interactive.explorer", "interactive.filters", "interactive.temperature"),
    *(
        "evaluation.metrics",
        "evaluation.resolution",
        "evaluation.outsiders",
        "inside_plots",
        "joining",
        "judges",
        "labelling",
        "overview",
        "plots",
        "recipes",
        "reports",
        "runs",
        "schedule_plots",
    ),
    *("evaluation.cross_validation", "evaluation.label_errors", "folds.command"),
    *("folds.figures", "folds.out_of_fold", "folds.report", "folds.study"),
    *("robustness.answers", "robustness.figures", "robustness.tables"),
    *("speed.figures", "speed.ideas", "speed.minutes", "speed.projection", "speed.tables"),
    *("speedruns", "studies", "tables", "targets"),
    *("tuning.command", "tuning.figures", "tuning.report", "tuning.surface", "tuning.trials"),
    *("deploy.latency_figures", "deploy.latency_tables", "deploy.runtimes"),
    *("deploy.browser_report", "deploy.chromium", "deploy.demo_command"),
    *("distilling.doubts", "distilling.figures", "distilling.report", "distilling.results"),
    *("serving.batching", "serving.command"),
    *("finetuning.card", "finetuning.command", "finetuning.layout"),
    *("pretrained", "pretrained.ship"),
    *("evaluation.merging", "evaluation.view_sets", "tta.figures", "tta.report", "tta.results"),
    *("enas.arms", "enas.command", "enas.cost", "enas.figures", "enas.ranking", "enas.report"),
    *("enas.results", "enas.space", "few_labels"),
    *("pretraining.figures", "pretraining.report", "pretraining.results", "typed", "verdicts"),
]


def test_the_package_alone_imports_nothing():
    added = python(
        "import sys; before = set(sys.modules); import cifar_lessons; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert added.split() == ["cifar_lessons"]


def test_figures_ledger_and_help_need_no_torch():
    """So that `--help` answers at once, and the book draws on a machine without torch."""
    names = ", ".join(f"cifar_lessons.{name}" for name in WITHOUT_TORCH)
    found = python(f"import sys, {names}; print('torch' in sys.modules)")
    assert found.strip() == "False"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["bench", "--help"], ["list"]]
)
def test_commands_that_do_not_compute_import_no_torch(arguments):
    code = (
        "import sys\n"
        f"sys.argv = ['cifar-lessons', *{arguments!r}]\n"
        "from cifar_lessons.cli import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == ["False", "False"]
    assert done.stdout


# Third-party packages do what they like when they are imported; then ours are watched.
WATCH = """
import importlib, logging, os, sys

sys.dont_write_bytecode = True
import filelock, matplotlib.pyplot, numpy, PIL.Image, PIL.ImageOps, safetensors.torch, seaborn
import sklearn.metrics, sklearn.model_selection, torch, torch.optim.swa_utils, torchvision.datasets
import tqdm, tyro, urllib.request
try:
    import optuna.storages.journal, pyarrow.parquet
except ImportError:
    pass

names, root = {names!r}, {root!r}
seen, watching = [], True

def watch(event, arguments):
    if not watching:
        return
    if event.startswith(("socket.", "subprocess.", "os.system", "os.mkdir", "os.rename")):
        seen.append((event, *map(str, arguments)))
    if event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writing or path.startswith(root) and not path.endswith((".py", ".pyc")):
            seen.append((event, path, mode))

class Environment(type(os.environ)):
    def __getitem__(self, key):
        caller = sys._getframe(1)
        while caller.f_code.co_filename.endswith(("os.py", "_collections_abc.py")):
            caller = caller.f_back
        if caller.f_code.co_filename.startswith(root):
            seen.append(("environment", key, caller.f_code.co_filename))
        return super().__getitem__(key)

os.environ.__class__ = Environment
handlers = list(logging.getLogger().handlers)
state = torch.get_rng_state()
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
watching = False
assert logging.getLogger().handlers == handlers, "logging was set up"
assert torch.equal(torch.get_rng_state(), state), "a random number was drawn"
assert not torch.cuda.is_initialized(), "a device was touched"
for event in seen:
    print(*event)
"""


def test_importing_touches_nothing():
    """No socket, no process, no file but code, no environment variable, no device, no logging."""
    names = [f"cifar_lessons.{name}".strip(".") for name in sorted(KNOWN - {"__main__"})]
    assert python(WATCH.format(names=names, root=str(PACKAGE))) == ""


# --- tests mirror the package -----------------------------------------------------------------

ELSEWHERE = {
    "__init__": "test_architecture.py",
    "__main__": "test_cli.py",
    "canvas": "test_plots.py",  # what its figures are drawn on
    "data.__init__": "test_architecture.py",
    "robustness.__init__": "test_architecture.py",
    "distilling.__init__": "test_architecture.py",
    "evaluation_commands": "test_cli.py",
    "training_commands": "test_cli.py",
    "few_labels": "test_recipes.py",  # its recipes stand among the others
    "speedruns": "test_recipes.py",  # likewise
    "pretraining.__init__": "test_architecture.py",
    "enas.__init__": "test_architecture.py",
    "evaluation.__init__": "test_architecture.py",
    "interactive.__init__": "test_architecture.py",
    "folds.__init__": "test_architecture.py",
    "judges.__init__": "test_claims.py",  # the ledger asks them all
    "speed.__init__": "test_architecture.py",
    "training.__init__": "test_architecture.py",
    "tta.__init__": "test_architecture.py",
    "tuning.__init__": "test_architecture.py",
    "deploy.__init__": "test_architecture.py",
    "deploy.command": "test_cli.py",
    "finetuning.__init__": "test_architecture.py",
    "serving.__init__": "test_architecture.py",
    "finetuning.exporting": "finetuning/test_command.py",
    "pretrained.__init__": "pretrained/test_loading.py",
    "objectives.__init__": "test_architecture.py",
    "objectives.base": "objectives/test_supervised.py",  # a protocol and its result
    "models.__init__": "models/test_registry.py",
    "models.base": "models/test_registry.py",  # what every network must offer
}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_has_its_test(path):
    inner = path.relative_to(PACKAGE)
    name = ".".join(inner.with_suffix("").parts)
    expected = TESTS / ELSEWHERE.get(name, str(inner.with_name(f"test_{inner.name}")))
    assert expected.is_file(), (
        f"cifar_lessons/{inner} is tested nowhere: write tests/{expected.relative_to(TESTS)}"
    )
