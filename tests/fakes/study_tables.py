"""Wrong study files: what is wrong, where the message must point, and what it must say to do."""

from __future__ import annotations

from dataclasses import dataclass

GOOD = """\
[study]
name = "digits"
metric = "val_loss"
direction = "minimize"

[run]
command = "python train.py --lr {lr} --opt {opt} --epochs {epochs} --seed {seed}"
timeout = "10m"

[fidelity]
name = "epochs"
min = 1
max = 27

[space]
lr = { type = "float", low = 1e-5, high = 1.0, log = true, default = 1e-3 }
layers = { type = "int", low = 1, high = 8 }
opt = { type = "choice", choices = ["adam", "sgd"], default = "adam" }
momentum = { type = "float", low = 0.0, high = 0.99, when = "opt == 'sgd'" }
amp = { type = "bool" }

[budget]
trials = 40
"""


@dataclass(frozen=True)
class Wrong:
    """A mistake: `before` in the good file replaced by `after`; the message names `key` and holds `fix`."""

    id: str
    before: str
    after: str
    key: str
    fix: str

    @property
    def text(self) -> str:
        assert self.before in GOOD, self.id
        return GOOD.replace(self.before, self.after, 1)


LR = 'lr = { type = "float", low = 1e-5, high = 1.0, log = true, default = 1e-3 }'
LAYERS = 'layers = { type = "int", low = 1, high = 8 }'
OPT = 'opt = { type = "choice", choices = ["adam", "sgd"], default = "adam" }'
MOMENTUM = 'momentum = { type = "float", low = 0.0, high = 0.99, when = "opt == \'sgd\'" }'
AMP = 'amp = { type = "bool" }'
COMMAND = 'command = "python train.py --lr {lr} --opt {opt} --epochs {epochs} --seed {seed}"'
NAME = 'name = "digits"'
METRIC = 'metric = "val_loss"'
DIRECTION = 'direction = "minimize"'
TIMEOUT = 'timeout = "10m"'
BUDGET = "trials = 40"
FIDELITY = 'name = "epochs"\nmin = 1\nmax = 27'


def space(entry: str) -> str:
    return f"lr = {{ {entry} }}"


WRONG = [
    Wrong("no study", '[study]\nname = "digits"\nmetric = "val_loss"\ndirection = "minimize"', "", "study", "[study]"),
    Wrong("no run", f"[run]\n{COMMAND}\n{TIMEOUT}", "", "run", "[run]"),
    Wrong("no name", NAME, "", "study.name", 'for example "digits"'),
    Wrong("name is a number", NAME, "name = 3", "study.name", "letters, digits"),
    Wrong("name is empty", NAME, 'name = ""', "study.name", "letters, digits"),
    Wrong("name is a path", NAME, 'name = "../up"', "study.name", "letters, digits"),
    Wrong("name has a space", NAME, 'name = "my study"', "study.name", "letters, digits"),
    Wrong("name is endless", NAME, f'name = "{"n" * 200}"', "study.name", "letters, digits"),
    Wrong("no metric", METRIC, "", "study.metric", '"val_loss"'),
    Wrong("metric is empty", METRIC, 'metric = ""', "study.metric", '"val_loss"'),
    Wrong("metric has two spaces", METRIC, 'metric = "val  loss"', "study.metric", '"val  loss"'),
    Wrong("metric is a number", METRIC, "metric = 1", "study.metric", '"val_loss"'),
    Wrong("no metrics in the list", METRIC, "metric = []", "study.metric", "a list of up to 3"),
    Wrong("four metrics", METRIC, 'metric = ["a", "b", "c", "d"]', "study.metric", "a list of up to 3"),
    Wrong("a metric twice", METRIC, 'metric = ["a", "a"]', "study.metric", "remove one"),
    Wrong("direction misspelled", DIRECTION, 'direction = "minimise"', "study.direction", '"minimize" or "maximize"'),
    Wrong("direction is a switch", DIRECTION, "direction = true", "study.direction", '"minimize" or "maximize"'),
    Wrong("too many directions", DIRECTION, 'direction = ["minimize", "maximize"]', "study.direction", "one for each"),
    Wrong("seed below 0", NAME, f"{NAME}\nseed = -1", "study.seed", "a whole number of at least 0"),
    Wrong("seed is a text", NAME, f'{NAME}\nseed = "x"', "study.seed", "a whole number of at least 0"),
    Wrong("seed is a fraction", NAME, f"{NAME}\nseed = 1.5", "study.seed", "a whole number of at least 0"),
    Wrong("description is a number", NAME, f"{NAME}\ndescription = 3", "study.description", "a text in quotes"),
    Wrong("unknown key in study", NAME, f"{NAME}\nmetrics = 1", "study.metrics", "did you mean metric?"),
    Wrong("no command", COMMAND, "", "run.command", "a command line"),
    Wrong("command is empty", COMMAND, 'command = ""', "run.command", "a command line"),
    Wrong("command is blank", COMMAND, 'command = "  "', "run.command", "expected a command line"),
    Wrong("command is a list", COMMAND, 'command = ["python", "x"]', "run.command", "a command line"),
    Wrong("open quote", COMMAND, "command = \"python 'train.py\"", "run.command", "a quote that is not closed"),
    Wrong("unknown placeholder", "{opt}", "{optt}", "space.optt", "did you mean opt?"),
    Wrong("placeholder of nothing like it", "{opt}", "{zebra}", "space.zebra", "used in [run].command, but not defined"),
    Wrong("timeout without a unit known", TIMEOUT, 'timeout = "10 parsecs"', "run.timeout", '"10m"'),
    Wrong("timeout of 0", TIMEOUT, "timeout = 0", "run.timeout", '"10m"'),
    Wrong("timeout below 0", TIMEOUT, "timeout = -5", "run.timeout", '"10m"'),
    Wrong("timeout is a switch", TIMEOUT, "timeout = true", "run.timeout", '"10m"'),
    Wrong("timeout is nan", TIMEOUT, "timeout = nan", "run.timeout", '"10m"'),
    Wrong("gpus in words", TIMEOUT, 'gpus = "all"', "run.gpus", "a part of one"),
    Wrong("gpus below 0", TIMEOUT, "gpus = -1", "run.gpus", "a part of one"),
    Wrong("one and a half GPUs", TIMEOUT, "gpus = 1.5", "run.gpus", "a part of one"),
    Wrong("parallel 0", TIMEOUT, "parallel = 0", "run.parallel", "at least 1"),
    Wrong("parallel is a fraction", TIMEOUT, "parallel = 1.5", "run.parallel", "at least 1"),
    Wrong("parallel is a text", TIMEOUT, 'parallel = "2"', "run.parallel", "at least 1"),
    Wrong("shell in words", TIMEOUT, 'shell = "yes"', "run.shell", "true or false"),
    Wrong("disk in words", TIMEOUT, 'disk = "plenty"', "run.disk", '"10G"'),
    Wrong("log of 0", TIMEOUT, "log = 0", "run.log", '"5M"'),
    Wrong("env is a list", TIMEOUT, 'env = ["A=1"]', "run.env", "a table of texts"),
    Wrong("env value is a number", TIMEOUT, "env = { A = 1 }", "run.env.A", "a table of texts"),
    Wrong("unknown key in run", TIMEOUT, "time_out = 3", "run.time_out", "did you mean timeout?"),
    Wrong("another executor", TIMEOUT, 'executor = "slurmm"', "run.executor", "did you mean slurm?"),
    Wrong("a cluster's key on this machine", BUDGET, f'{BUDGET}\n[executor]\npartition = "gpu"', "executor.partition", 'only applies to executor = "slurm"'),
    Wrong("unknown key in executor", BUDGET, f'{BUDGET}\n[executor]\npartitions = "gpu"', "executor.partitions", "did you mean partition?"),
    Wrong("cpus of 0", BUDGET, f"{BUDGET}\n[executor]\ncpus = 0", "executor.cpus", "at least 1"),
    Wrong("a list as option of sbatch", BUDGET, f"{BUDGET}\n[executor]\noptions = {{ qos = [1] }}", "executor.options.qos", "options of sbatch"),
    Wrong("a sandbox on a cluster", TIMEOUT, 'executor = "ray"\nsandbox = true', "run.sandbox", "on this machine only"),
    Wrong("Slurm without parallel", TIMEOUT, 'executor = "slurm"', "run.parallel", "how many jobs"),
    Wrong("half a GPU on Slurm", TIMEOUT, 'executor = "slurm"\ngpus = 0.5', "run.gpus", "whole GPUs"),
    Wrong("packed GPUs on a cluster", TIMEOUT, 'executor = "ray"\ngpus = "auto"', "run.gpus", "give a number"),
    Wrong("pin in words", TIMEOUT, 'pin = "yes"', "run.pin", "true or false"),
    Wrong("CO2 of 0", TIMEOUT, "co2_g_per_kwh = 0", "run.co2_g_per_kwh", "above 0"),
    Wrong("kwh below 0", BUDGET, "trials = 3\nkwh = -1", "budget.kwh", "above 0"),
    Wrong("fidelity without a name", FIDELITY, "min = 1\nmax = 27", "fidelity.name", '"epochs"'),
    Wrong("fidelity without max", FIDELITY, 'name = "epochs"\nmin = 1', "fidelity.max", "a number above min"),
    Wrong("fidelity upside down", FIDELITY, 'name = "epochs"\nmin = 27\nmax = 1', "fidelity.min", "not below max"),
    Wrong("fidelity of 0", FIDELITY, 'name = "epochs"\nmin = 0\nmax = 9', "fidelity.min", "above 0"),
    Wrong("fidelity named like a parameter", FIDELITY, 'name = "lr"\nmin = 1\nmax = 9', "fidelity.name", "from [space]"),
    Wrong("fidelity named with a dash", FIDELITY, 'name = "e-p"\nmin = 1\nmax = 9', "fidelity.name", "letters, digits and _"),
    Wrong("unknown key in fidelity", FIDELITY, f"{FIDELITY}\neta = 3", "fidelity.eta", "unknown key"),
    Wrong("schedule of another kind", BUDGET, f'{BUDGET}\n[schedule]\nkind = "asha"', "schedule.kind", '"halving"'),
    Wrong("eta of 1", BUDGET, f"{BUDGET}\n[schedule]\neta = 1", "schedule.eta", "at least 1.5"),
    Wrong("halving without a fidelity", f"[fidelity]\n{FIDELITY}\n", "[schedule]\nkind = 'halving'\n", "schedule.kind", "add [fidelity]"),
    Wrong("a chance of 1", BUDGET, f"{BUDGET}\n[stop]\nchance = 1", "stop.chance", "below 1"),
    Wrong("patience of 0", BUDGET, f"{BUDGET}\n[stop]\npatience = 0", "stop.patience", "at least 1"),
    Wrong("a rule without a bound", BUDGET, f'{BUDGET}\n[[stop.rules]]\nmetric = "loss"', "stop.rules.0", "above, below"),
    Wrong("space is empty", "\n".join([LR, LAYERS, OPT, MOMENTUM, AMP]), "", "space", "at least one parameter"),
    Wrong("parameter is a number", LAYERS, "layers = 3", "space.layers", 'type = "float"'),
    Wrong("no type", LR, space("low = 1e-5, high = 1.0"), "space.lr.type", "float, int, choice, bool"),
    Wrong("type of another tool", LR, space('type = "loguniform", low = 1, high = 2'), "space.lr.type", "did you mean float?"),
    Wrong("type categorical", OPT, 'opt = { type = "categorical", choices = [1] }', "space.opt.type", "did you mean choice?"),
    Wrong("type is a number", LR, space("type = 3, low = 1, high = 2"), "space.lr.type", "float, int, choice, bool"),
    Wrong("no low", LR, space('type = "float", high = 1.0'), "space.lr.low", "for example low = 0.0"),
    Wrong("no high", LR, space('type = "float", low = 1.0'), "space.lr.high", "for example high = 1.0"),
    Wrong("low is a text", LR, space('type = "float", low = "a", high = 1.0'), "space.lr.low", "a finite number"),
    Wrong("low is inf", LR, space('type = "float", low = -inf, high = 1.0'), "space.lr.low", "a finite number"),
    Wrong("high is nan", LR, space('type = "float", low = 0, high = nan'), "space.lr.high", "a finite number"),
    Wrong("low is a switch", LR, space('type = "float", low = true, high = 2'), "space.lr.low", "a finite number"),
    Wrong("upside down", LR, space('type = "float", low = 1.0, high = 0.1'), "space.lr.low", "not below high"),
    Wrong("one point", LR, space('type = "float", low = 1.0, high = 1.0'), "space.lr.low", "a fixed value into the command"),
    Wrong("log from 0", LR, space('type = "float", low = 0, high = 1.0, log = true'), "space.lr.low", "for example 1e-5"),
    Wrong("log int from 0", LAYERS, 'layers = { type = "int", low = 0, high = 8, log = true }', "space.layers.low", "at least 1"),
    Wrong("log is a text", LR, space('type = "float", low = 1, high = 2, log = "yes"'), "space.lr.log", "true or false"),
    Wrong("default outside", LR, space('type = "float", low = 0, high = 1, default = 2'), "space.lr.default", "from 0 to 1"),
    Wrong("default is a text", LR, space('type = "float", low = 0, high = 1, default = "x"'), "space.lr.default", "a finite number"),
    Wrong("int with a fraction", LAYERS, 'layers = { type = "int", low = 1.5, high = 8 }', "space.layers.low", 'type = "float"'),
    Wrong("int too wide", LAYERS, 'layers = { type = "int", low = -9000000000000000000, high = 9000000000000000000 }', "space.layers.high", "1e18"),
    Wrong("step with log", LR, space('type = "float", low = 1, high = 2, log = true, step = 0.1'), "space.lr.step", "remove one"),
    Wrong("step too large", LR, space('type = "float", low = 0, high = 1, step = 3'), "space.lr.step", "at most high - low"),
    Wrong("step below 0", LAYERS, 'layers = { type = "int", low = 1, high = 8, step = -1 }', "space.layers.step", "above 0"),
    Wrong("default off the grid", LR, space('type = "float", low = 0, high = 1, step = 0.5, default = 0.3'), "space.lr.default", "nearest value is 0.5"),
    Wrong("no choices", OPT, 'opt = { type = "choice" }', "space.opt.choices", 'choices = ["a", "b"]'),
    Wrong("empty choices", OPT, 'opt = { type = "choice", choices = [] }', "space.opt.choices", "at least one value"),
    Wrong("choices is a text", OPT, 'opt = { type = "choice", choices = "ab" }', "space.opt.choices", "a list"),
    Wrong("a choice twice", OPT, 'opt = { type = "choice", choices = ["a", "a"] }', "space.opt.choices", "remove one"),
    Wrong("choices of lists", OPT, 'opt = { type = "choice", choices = [[1], [2]] }', "space.opt.choices", "texts, numbers"),
    Wrong("default is not a choice", OPT, 'opt = { type = "choice", choices = ["adam", "sgd"], default = "adm" }', "space.opt.default", "did you mean adam?"),
    Wrong("bool default is a text", AMP, 'amp = { type = "bool", default = "yes" }', "space.amp.default", "expected true or false"),
    Wrong("unknown key in a parameter", LR, space('type = "float", lo = 1, high = 2, low = 0'), "space.lr.lo", "did you mean low?"),
    Wrong("choices of a float", LR, space('type = "float", low = 0, high = 1, choices = [1]'), "space.lr.choices", "unknown key for type float"),
    Wrong("name with a dash", "layers =", '"n-layers" =', "space.n-layers", "for example n_layers"),
    Wrong("a parameter called seed", "layers =", "seed =", "space.seed", "rename the parameter"),
    Wrong("when names nothing", "opt == 'sgd'", "optt == 'sgd'", "space.momentum.when", "did you mean opt?"),
    Wrong("when names itself", "opt == 'sgd'", "momentum > 0.5", "space.momentum.when", "the parameter itself"),
    Wrong("when compares with no choice", "opt == 'sgd'", "opt == 'sdg'", "space.momentum.when", "did you mean sgd?"),
    Wrong("when is half a sentence", "opt == 'sgd'", "opt ==", "space.momentum.when", "cannot be parsed"),
    Wrong("when calls", "opt == 'sgd'", "len(opt) > 3", "space.momentum.when", "not supported in a condition"),
    Wrong("when imports", "opt == 'sgd'", "__import__('os')", "space.momentum.when", "not supported in a condition"),
    Wrong("when assigns", "opt == 'sgd'", "opt = 'sgd'", "space.momentum.when", "cannot be parsed"),
    Wrong("when in a text", "opt == 'sgd'", "opt in 'sgd'", "space.momentum.when", "needs a list"),
    Wrong("when orders texts", "opt == 'sgd'", "opt > 'a'", "space.momentum.when", "only compares numbers"),
    Wrong("when is a switch", '"opt == \'sgd\'"', "true", "space.momentum.when", "a condition in quotes"),
    Wrong("when out of range", "opt == 'sgd'", "layers == 99", "space.momentum.when", "from 1 to 8"),
    Wrong("a circle", AMP, 'amp = { type = "bool", when = "b" }\nb = { type = "bool", when = "amp" }', "space.amp.when", "circular"),
    Wrong("trials 0", BUDGET, "trials = 0", "budget.trials", "at least 1"),
    Wrong("trials in words", BUDGET, 'trials = "many"', "budget.trials", "at least 1"),
    Wrong("hours below 0", BUDGET, "hours = -1", "budget.hours", "above 0"),
    Wrong("hours inf", BUDGET, "hours = inf", "budget.hours", "above 0"),
    Wrong("until in words", BUDGET, 'until = "tomorrow"', "budget.until", '"07:00"'),
    Wrong("until past midnight", BUDGET, 'until = "25:00"', "budget.until", '"07:00"'),
    Wrong("until is a number", BUDGET, "until = 7", "budget.until", '"07:00"'),
    Wrong("unknown key in budget", BUDGET, "untill = 3", "budget.untill", "did you mean until?"),
    Wrong("unknown sampler", BUDGET, f'{BUDGET}\n[planner]\nsampler = "bayse"', "planner.sampler", "did you mean bayes?"),
    Wrong("planner key", BUDGET, f'{BUDGET}\n[planner]\nmodle = "x"', "planner.modle", "did you mean model?"),
    Wrong("confirm of one seed", BUDGET, f"{BUDGET}\n[confirm]\nseeds = 1", "confirm.seeds", "at least 2"),
    Wrong("confirm top 0", BUDGET, f"{BUDGET}\n[confirm]\ntop = 0", "confirm.top", "at least 1"),
    Wrong("constraint without bounds", BUDGET, f'{BUDGET}\n[[constraints]]\nmetric = "mem"', "constraints.0", "min, max or both"),
    Wrong("constraint without metric", BUDGET, f"{BUDGET}\n[[constraints]]\nmax = 3", "constraints.0.metric", "the name of a metric"),
    Wrong("constraint upside down", BUDGET, f'{BUDGET}\n[[constraints]]\nmetric = "m"\nmin = 3\nmax = 1', "constraints.0.min", "no value can meet both"),
    Wrong("constraints as a table", BUDGET, f'{BUDGET}\n[constraints]\nmetric = "m"', "constraints", "[[constraints]]"),
    Wrong("evaluate without a command", BUDGET, f"{BUDGET}\n[evaluate]", "evaluate.command", "a command line"),
    Wrong("evaluate with an unknown name", BUDGET, f'{BUDGET}\n[evaluate]\ncommand = "x {{y}}"', "space.y", "used in [evaluate].command"),
    Wrong("edits without files", BUDGET, f"{BUDGET}\n[edits]", "edits.files", '["train.py"]'),
    Wrong("unknown table", "[budget]", "[budgets]", "budgets", "did you mean budget?"),
    Wrong("study is a number", "[study]", "study_ = 1\n[study]", "study_", "did you mean study?"),
    Wrong("a price is missing", METRIC, 'metric = ["val_loss", "run/usd"]', "study.metric", "add usd_per_hour = 2.5 to [run]"),
    Wrong("a price of 0", TIMEOUT, f"{TIMEOUT}\nusd_per_hour = 0", "run.usd_per_hour", "above 0"),
    Wrong("energy without a GPU", METRIC, 'metric = ["val_loss", "run/gpu_kwh"]', "study.metric", "[run].gpus is 0"),
    Wrong("a misspelled resource", METRIC, 'metric = ["val_loss", "run/second"]', "study.metric", "did you mean run/seconds?"),
    Wrong("a misspelled bound", BUDGET, f'{BUDGET}\n[[constraints]]\nmetric = "run/rss_gb"\nmax = 3', "constraints.0.metric", "did you mean run/rss_gib?"),
    Wrong("a bound without a GPU", BUDGET, f'{BUDGET}\n[[constraints]]\nmetric = "run/gpu_mem_gib"\nmax = 3', "constraints.0.metric", "needs a GPU"),
    Wrong("a cost that is maximized", f"{METRIC}\n{DIRECTION}", 'metric = ["acc", "run/seconds"]\ndirection = "maximize"', "study.direction", "which is a cost"),
    Wrong("a rule on seconds", BUDGET, f'{BUDGET}\n[[stop.rules]]\nmetric = "run/seconds"\nabove = 9', "stop.rules.0.metric", "[run].timeout"),
    Wrong("a resource that is read", BUDGET, f'{BUDGET}\n[[constraints]]\nmetric = "run/seconds"\nmax = 3\n[metrics]\n"run/seconds" = {{ take = "best" }}', 'metrics."run/seconds"', "is measured"),
    Wrong("no TOML", "[run]", "[run", "", "line 6"),
    Wrong("a key twice", NAME, f"{NAME}\n{NAME}", "", "line 3"),
    Wrong("a table twice", "[budget]", "[run]", "", "is not valid TOML"),
]  # fmt: skip
