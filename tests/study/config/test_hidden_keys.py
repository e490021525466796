"""What models, trials and the history see of a study file with hidden keys in [confirm]."""

from __future__ import annotations

import tomllib

import pytest

from tunesmith.study.config.hidden import hidden_names, with_hidden_text, without_hidden_text
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError

HEAD = """\
[study]
name = "a"
metric = "loss"   # kept
[run]
command = "python train.py --x {x}"
[space]
x = { type = "float", low = 0, high = 1 }
"""
WAYS = {
    "lines": '[confirm]\ntop = 3\ncommand = "python judge.py {artifacts}"\ndata = ["vault"]\n[budget]\ntrials = 2\n',
    "a list of several lines": '[confirm]\ndata = [\n  "vault",  # ]\n]\ntop = 3\n'
    'command = "python judge.py {artifacts}"\n[budget]\ntrials = 2\n',
    "a comment that tells": '# judged by vault\n[confirm]\ntop = 3\ncommand = "python judge.py {artifacts}"\n'
    'data = ["vault"]\n[budget]\ntrials = 2\n',
    "a text of several lines": '[confirm]\ntop = 3\ncommand = """\npython judge.py {artifacts}"""\ndata = ["vault"]\n'
    "[budget]\ntrials = 2\n",
    "spaces and quotes": "[ confirm ] # end\n  'command' = 'python judge.py {artifacts}'\n  \"data\" = ['vault']\n"
    "top = 3\n[budget]\ntrials = 2\n",
}
INLINE = 'confirm = { top = 3, command = "python judge.py {artifacts}", data = ["vault"] }\nbudget.trials = 2\n'
DOTTED = (
    'confirm.top = 3\nconfirm.command = "python judge.py {artifacts}"\nconfirm.data = ["vault"]\nbudget.trials = 2\n'
)


@pytest.mark.parametrize("text", [*(HEAD + way for way in WAYS.values()), INLINE + HEAD, DOTTED + HEAD])
def test_the_text_keeps_everything_but_the_hidden_keys_however_they_are_written(text: str) -> None:
    whole, shown = tomllib.loads(text), without_hidden_text(text)
    assert "judge.py" not in shown
    assert "vault" not in shown
    assert tomllib.loads(shown) == {**whole, "confirm": {"top": 3}}
    again = with_hidden_text(shown, {key: whole["confirm"][key] for key in ("command", "data")})
    assert tomllib.loads(again) == whole


def test_the_history_stores_the_study_without_them() -> None:
    spec = parse_spec(tomllib.loads(HEAD + WAYS["lines"]))
    assert spec.confirm is not None
    assert spec.confirm.command is not None
    stored = parse_spec(spec.stored_document).confirm
    assert stored is not None
    assert (stored.top, stored.command, stored.data) == (3, None, [])


def test_scripts_of_the_command_are_hidden_unless_another_command_runs_them() -> None:
    document = tomllib.loads(HEAD + WAYS["lines"])
    assert hidden_names(document) == ["vault", "judge.py"]
    module = {**document, "confirm": {"command": "python -m hidden.judge"}}
    assert hidden_names(module) == ["hidden/judge.py"]
    shared = {**document, "confirm": {"command": "python train.py --judge"}}
    assert hidden_names(shared) == []


@pytest.mark.parametrize(
    ("command", "scripts"),
    [
        ("bash -c 'python judge.py \"$0\"' {artifacts}", ["judge.py"]),
        ("sh -c 'cd tools && python3 judge.py>out; ../sum.sh'", ["tools/judge.py", "tools/../sum.sh"]),
        ("env A=1 bash -c \"bash -c 'python judge.py it'\"", ["judge.py"]),
        ("bash -c 'python -m tools.judge|cat'", ["tools/judge.py"]),
        ("python -c \"import runpy; runpy.run_path('judge.py')\"", ["judge.py"]),
        ('bash -c "it\'s python judge.py "', ["judge.py"]),
        ("node judge.js {artifacts}", ["judge.js"]),
        ("./judge {artifacts} ./rows.csv", ["./judge"]),
        ("sh -c 'cd tools && ./judge it'", ["tools/./judge"]),
        ("python 'my judge.py'", ["my judge.py", "judge.py"]),
    ],
)
def test_scripts_in_commands_of_a_shell_are_hidden(command: str, scripts: list[str]) -> None:
    assert hidden_names({**tomllib.loads(HEAD), "confirm": {"command": command}}) == scripts


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[confirm]\ndata = ["vault"]', "confirm.data  has nobody who reads it"),
        ('[confirm]\ncommand = "python judge.py"\nseeds = 2', "confirm.seeds  needs {seed} in [run].command"),
        ('[confirm]\ncommand = "python \'judge.py"', "confirm.command  has a quote that is not closed"),
        ('[confirm]\ncommand = "python j.py"\ndata = ["v"]\n[evaluate]\ncommand = "python e.py"\ndata = ["v/x"]',
         "evaluate.data  entry 1 names what [confirm] keeps from the search"),
        ('[confirm]\ncommand = "python j.py"\n[edits]\nfiles = ["train.py"]\nprotect = ["a.py", "j.py"]',
         "edits.protect  entry 2 names what [confirm] keeps from the search"),
    ],
)  # fmt: skip
def test_mistakes_name_the_key_and_nothing_that_is_hidden(tables: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(tomllib.loads(f"{HEAD}{tables}\n[budget]\ntrials = 2\n"))
    assert message in str(caught.value)
    assert "j.py" not in str(caught.value)
