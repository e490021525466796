"""Every figure of a report, recomputed from the history file with SQL and textbook formulas.

Deliberately shares no code with the report: if the two differ, one of them is wrong.
"""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from collections import Counter
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

FRESH, CONFIRMING = 2**30, 3 * 2**29
CLOSE = 1e-9


def differences(history: Path, study: str, report: dict[str, Any], *, minimized: bool = True) -> list[str]:
    """Return a line for each figure of `tunesmith report --json` that does not follow from the history."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        found = _recomputed(db, study, 1.0 if minimized else -1.0)
    return [line for key, value in found.items() for line in _compare(key, value, _at(report, key))]


def _gpu_s_outside_trials(db: sqlite3.Connection, study: int) -> float:
    """Return the GPU time of first attempts and tests, which belong to no trial."""
    details = db.execute("select detail from events where study_id = ? and kind in ('requeued', 'test')", [study])
    return float(sum(json.loads(row["detail"]).get("gpu_s", 0.0) for row in details))


def _recomputed(db: sqlite3.Connection, study: str, sign: float) -> dict[str, Any]:
    record = db.execute("select * from studies where name = ?", [study]).fetchone()
    rows = db.execute("select * from trials where study_id = ? order by number", [record["id"]]).fetchall()
    own = [r for r in rows if r["replicate_of"] is None]
    able = [r for r in own if r["state"] == "complete" and r["value"] is not None and math.isfinite(r["value"])]
    fresh = _fresh(rows)
    default = next((r for r in own if r["source"] == "default"), None)
    chosen = _chosen(able, rows, default, fresh, sign)
    found: dict[str, Any] = {
        "study": study,
        "summary.states": dict(Counter(r["state"] for r in own)),
        "summary.best": _candidate(chosen, fresh) if chosen else None,
        "summary.default": _candidate(default, fresh) if default and default["state"] == "complete" else None,
        "summary.gain": None,
        "summary.versus_default": None,
        "spent.trials": sum(r["state"] in ("complete", "stopped", "failed") for r in own),
        "spent.hours": record["active_s"] / 3600,
        "spent.gpu_hours": (sum(r["gpu_s"] or 0.0 for r in rows) + _gpu_s_outside_trials(db, record["id"])) / 3600,
        "sources": _sources(own, able, sign),
        "failures": _failures(rows),
        "lessons": _lessons(db, record["id"]),
        "trials": [_row(r) for r in rows],
        "curves": _curves(db, record["id"]),
        **_llm(db, record["id"]),
    }
    found["shrinkage"] = {n: _shrinkage(n, rows, fresh, default, sign) for n in fresh if rows[n] in able}
    again = sorted(
        (n for n in fresh if rows[n] in able and len(fresh[n]) > 1), key=lambda n: sign * statistics.fmean(fresh[n])
    )[:5]
    found["pairs"] = {f"{a} {b}": {"difference": _welch(fresh[a], fresh[b], sign)} for a, b in combinations(again, 2)}
    if chosen and default and default["state"] == "complete":
        found["summary.gain"] = sign * (default["value"] - chosen["value"]) / abs(default["value"])
    if chosen and default and default["state"] == "complete" and chosen["number"] != default["number"]:
        a, b = fresh.get(chosen["number"], []), fresh.get(default["number"], [])
        if len(a) > 1 and len(b) > 1:
            found["summary.versus_default"] = _welch(a, b, sign)
            gain = found["summary.versus_default"]["gain"]
            found["summary.confirmed_gain"] = gain / abs(statistics.fmean(b))
    return found


def _fresh(rows: list[sqlite3.Row]) -> dict[int, list[float]]:
    """Return the values on fresh seeds by configuration; those on confirming seeds if there are any."""
    chosen_by: dict[int, list[float]] = {}
    untouched: dict[int, list[float]] = {}
    for r in rows:
        if r["replicate_of"] is not None and r["state"] == "complete" and r["seed"] >= FRESH:
            (untouched if r["seed"] >= CONFIRMING else chosen_by).setdefault(r["replicate_of"], []).append(r["value"])
    return {**chosen_by, **untouched}


def _chosen(
    able: list[sqlite3.Row], rows: list[sqlite3.Row], default: Any, fresh: dict[int, list[float]], sign: float
) -> Any:
    if not able:
        return None
    leader = min(able, key=lambda r: (sign * r["value"], r["number"]))
    confirming = [r for r in rows if r["replicate_of"] is not None and r["seed"] >= CONFIRMING]
    held = {r["replicate_of"] for r in confirming}
    again = [r for r in able if r["number"] in held and len(fresh.get(r["number"], [])) > 1]
    is_choice = leader in again or (default is not None and default["number"] in held)
    others = [r for r in again if default is None or r["number"] != default["number"]]
    if others and is_choice and leader["number"] < min(r["number"] for r in confirming):
        return min(others, key=lambda r: sign * statistics.fmean(fresh[r["number"]]))
    return leader


def _candidate(row: sqlite3.Row, fresh: dict[int, list[float]]) -> dict[str, Any]:
    values = fresh.get(row["number"])
    return {
        "number": row["number"],
        "source": row["source"],
        "value": row["value"],
        "params": json.loads(row["params"]),
        "confirmed": _sample(values) if values else None,
    }


def _sample(values: list[float]) -> dict[str, Any]:
    from scipy import stats

    count = len(values)
    std = statistics.stdev(values) if count > 1 else None
    margin = None if std is None else float(stats.t.ppf(0.975, count - 1)) * std / math.sqrt(count)
    return {"mean": statistics.fmean(values), "std": std, "margin": margin, "values": values}


def _welch(a: list[float], b: list[float], sign: float) -> dict[str, float]:
    from scipy import stats

    test = stats.ttest_ind([sign * v for v in b], [sign * v for v in a], equal_var=False)
    low, high = test.confidence_interval(0.97)
    gain = sign * (statistics.fmean(b) - statistics.fmean(a))
    return {"gain": gain, "margin": float(high - low) / 2, "probability": float(stats.t.cdf(test.statistic, test.df))}


def _shrinkage(
    number: int, rows: list[sqlite3.Row], fresh: dict[int, list[float]], default: Any, sign: float
) -> dict[str, Any]:
    mean = statistics.fmean(fresh[number])
    kept = None
    if default is not None and default["number"] in fresh and default["number"] != number:
        promised = sign * (default["value"] - rows[number]["value"])
        left = sign * (statistics.fmean(fresh[default["number"]]) - mean)
        kept = left / promised if promised > 0 else None
    loss = sign * (mean - rows[number]["value"])
    return {"confirmed": mean, "seeds": len(fresh[number]), "loss": loss, "kept": kept}


def _sources(own: list[sqlite3.Row], able: list[sqlite3.Row], sign: float) -> dict[str, Any]:
    improved, best = [], None
    for r in able:
        if best is None or sign * r["value"] < best:
            best = sign * r["value"]
            improved.append(r["number"])
    found = {}
    for source in {r["source"] for r in own}:
        mine = [r for r in own if r["source"] == source]
        values = [r["value"] for r in able if r["source"] == source]
        states = Counter(r["state"] for r in mine)
        found[source] = {
            "trials": len(mine),
            **{state: states[state] for state in ("complete", "stopped", "failed")},
            "improved": [n for n in improved if n in {r["number"] for r in mine}],
            "best": min(values, key=lambda v: sign * v) if values else None,
        }
    return found


def _failures(rows: list[sqlite3.Row]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for r in rows:
        if r["failure_kind"]:
            found.setdefault(r["failure_kind"], []).append(r["number"])
    return found


def _lessons(db: sqlite3.Connection, study: int) -> list[dict[str, Any]]:
    sql = "select text, trials from insights where study_id = ? and retired_at is null order by id"
    return [{"text": r["text"], "trials": json.loads(r["trials"])} for r in db.execute(sql, [study])]


def _llm(db: sqlite3.Connection, study: int) -> dict[str, Any]:
    rows = db.execute("select * from llm_calls where study_id = ?", [study]).fetchall()
    tokens = 0.0
    for r in rows:
        known = r["input_tokens"] is not None and r["output_tokens"] is not None
        texts = (len(r["messages"]) + len(r["answer"])) // 3
        tokens += r["input_tokens"] + r["output_tokens"] if known else texts
    usd = sum(r["cost_usd"] or 0.0 for r in rows)
    return {"spent.llm_calls": len(rows), "spent.llm_tokens": int(tokens), "spent.llm_usd": usd}


def _row(r: sqlite3.Row) -> dict[str, Any]:
    values = {k: v if isinstance(v, float | int) else None for k, v in json.loads(r["metrics"] or "{}").items()}
    kept = ("number", "source", "state", "replicate_of", "fidelity")
    return {**{name: r[name] for name in kept}, "params": json.loads(r["params"]), "values": values}


def _curves(db: sqlite3.Connection, study: int) -> dict[str, Any]:
    sql = """
        select number, metric, step, o.value from observations o join trials t on t.id = o.trial_id
        where study_id = ? and o.attempt = t.attempt order by o.rowid
    """
    found: dict[str, Any] = {}
    for number, metric, step, value in db.execute(sql, [study]):
        # JSON has no nan and no infinity: the report says null.
        shown = value if value is not None and math.isfinite(value) else None
        found.setdefault(str(number), []).append([metric, step, shown])
    return found


def _at(report: dict[str, Any], key: str) -> Any:
    """Return the value at a dotted key of the report, in the form of this module."""
    if key == "sources":
        return {share["source"]: share for share in report["sources"]}
    if key == "shrinkage":
        return {found["number"]: found for found in report["shrinkage"]}
    if key == "pairs":
        return {f"{pair['number']} {pair['other']}": pair for pair in report["pairs"]}
    if key == "failures":
        return {group["kind"]: sorted(group["trials"]) for group in report["failures"]}
    value: Any = report
    for part in key.split("."):
        value = value[part]
    return value


def _compare(key: str, wanted: Any, shown: Any) -> list[str]:
    """Return the differences; keys that only the report has are ignored."""
    if isinstance(wanted, dict) and isinstance(shown, dict):
        lines = [line for name, value in wanted.items() for line in _compare(f"{key}.{name}", value, shown.get(name))]
        return lines + (
            [f"{key}: has {sorted(set(shown) - set(wanted))} too"]
            if key == "summary.states" and set(shown) - set(wanted)
            else []
        )
    if isinstance(wanted, list) and isinstance(shown, list) and len(wanted) == len(shown):
        pairs = enumerate(zip(wanted, shown, strict=True))
        return [line for index, (a, b) in pairs for line in _compare(f"{key}[{index}]", a, b)]
    if isinstance(wanted, float | int) and isinstance(shown, float | int):
        same = math.isclose(wanted, shown, rel_tol=CLOSE, abs_tol=1e-12)
    else:
        same = wanted == shown
    return [] if same else [f"{key}: the report says {_short(shown)}, the history {_short(wanted)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:160]}…"
