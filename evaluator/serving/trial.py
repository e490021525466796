"""The process of one trial of a server: starts it, waits until it is ready, measures it, and ends it.

It runs where the trial runs, in its sandbox or on a node of a cluster, with the standard library only. What it starts
has the supervisor around it, which ends what is left. It reports metrics like a training script, through the
report file.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tunesmith.evaluator.reporting import report
from tunesmith.evaluator.serving.plan import ServePlan
from tunesmith.evaluator.serving.ports import reserved_port
from tunesmith.evaluator.serving.process import LoggedProcess
from tunesmith.evaluator.serving.results import Results, read_results
from tunesmith.evaluator.serving.start_failures import start_failure
from tunesmith.evaluator.serving.verdict import STATUS, ServingFailed, announce

POLL_S = 0.1
ANSWER_TIMEOUT_S = 5.0
"""Longest time for one answer to the question whether the server is ready."""
PORT_ATTEMPTS = 3
"""Number of ports that are tried when another program takes one first."""
RESULT_FILE = "bench-results.json"
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _PortTaken(Exception):
    """Another program took the port before the server did."""


def main() -> None:
    """Run the trial whose plan is the first argument; a failure is the last line of standard error."""
    plan = ServePlan.from_json(sys.argv[1])
    try:
        _run(plan)
    except ServingFailed as failure:
        announce(failure)
        sys.exit(STATUS)


def _run(plan: ServePlan) -> None:
    attempts = 1 if plan.port else PORT_ATTEMPTS
    for attempt in range(1, attempts + 1):
        with reserved_port(plan.port) as port:
            try:
                results = _measure(plan, port)
            except _PortTaken as error:
                if attempt == attempts:
                    raise ServingFailed("crash", str(error)) from None
                continue
        report(results.metrics)
        _check_errors(results, plan.max_errors)
        return


def _measure(plan: ServePlan, port: int) -> Results:
    """Return what the benchmark measured; nothing where it prints its results instead of writing {result}."""
    result = Path(os.environ.get("TUNESMITH_ARTIFACTS", ".")) / RESULT_FILE
    result.unlink(missing_ok=True)
    filled = {"{port}": str(port), "{result}": str(result)}
    environment = {name: _fill(text, filled) for name, text in os.environ.items()}
    words = [_fill(word, filled) for word in plan.server]
    server = _start("the server", words, environment, plan, passes_stdout=False)
    try:
        _wait_until_ready(server, plan, port)
        bench_words = [_fill(word, filled) for word in plan.bench]
        bench = _start("the benchmark", bench_words, environment, plan, passes_stdout=True)
        try:
            _wait_for(bench, server)
        finally:
            bench.end()
    finally:
        server.end()
    if not any("{result}" in word for word in plan.bench):
        return Results({})
    try:
        return read_results(result)
    except ValueError as error:
        raise ServingFailed("crash", f"the benchmark ended, but {error}") from None


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _start(
    what: str, words: Sequence[str], environment: dict[str, str], plan: ServePlan, *, passes_stdout: bool
) -> LoggedProcess:
    ready_log = "" if passes_stdout else plan.ready_log
    try:
        return LoggedProcess(words, environment, passes_stdout=passes_stdout, ready_log=ready_log)
    except FileNotFoundError:
        raise ServingFailed("crash", f"{what} cannot be started: {words[0]} was not found on PATH") from None
    except OSError as error:
        raise ServingFailed("crash", f"{what} cannot be started: {words[0]}: {error.strerror}") from None


def _wait_until_ready(server: LoggedProcess, plan: ServePlan, port: int) -> None:
    address = plan.ready_path.replace("{port}", str(port))
    address = f"http://127.0.0.1:{port}{address}" if address.startswith("/") else address
    deadline, answer = time.monotonic() + plan.start_timeout_s, "nothing"
    while time.monotonic() < deadline:
        if server.status is not None:
            _fail_start(server)
        if plan.ready_log and server.is_ready.is_set():
            return
        if address:
            is_ready, answer = _ask(address)
            # Another program may have answered while our server failed to listen.
            if is_ready and server.status is None:
                return
        time.sleep(POLL_S)
    wanted = f"{address} answered {answer}" if address else f"no line of its log matched {plan.ready_log}"
    last = next((line for line in reversed(server.lines()) if line.strip()), "nothing")
    reason = f"the server was not ready within {plan.start_timeout_s:g} s ([serve].start_timeout): {wanted}"
    raise ServingFailed("timeout", f"{reason}; the last line of its log: {last[:160]}")


def _ask(address: str) -> tuple[bool, str]:
    """Return whether the server is ready, and what it answered."""
    try:
        with _NO_PROXY.open(address, timeout=ANSWER_TIMEOUT_S) as response:
            return response.status < 300, f"status {response.status}"  # noqa: PLR2004  # an HTTP status of success
    except urllib.error.HTTPError as error:
        return False, f"status {error.code}"
    except (OSError, ValueError) as error:
        return False, f"nothing ({getattr(error, 'reason', error)})"
    except Exception as error:  # noqa: BLE001  # what answers may speak anything but HTTP
        return False, f"no HTTP ({type(error).__name__})"


def _fail_start(server: LoggedProcess) -> None:
    failure = start_failure(server.lines(), server.status or 0)
    if failure.is_port:
        raise _PortTaken(f"the server did not start: {failure.reason}")
    raise ServingFailed(failure.kind, f"the server did not start: {failure.reason}")


def _wait_for(bench: LoggedProcess, server: LoggedProcess) -> None:
    """Wait until the benchmark ends; a server that ends before it fails the trial."""
    while bench.status is None:
        if server.status is not None:
            failure = start_failure(server.lines(), server.status)
            raise ServingFailed(failure.kind, f"the server ended during the benchmark: {failure.reason}")
        bench.wait(POLL_S)
    if bench.status:
        lines = [line.strip() for line in bench.lines() if line.strip()]
        last = lines[-1][:200] if lines else "it said nothing on standard error"
        raise ServingFailed("crash", f"the benchmark ended with exit status {bench.status}: {last}")


def _check_errors(results: Results, most: float) -> None:
    errors = results.metrics.get("errors", 0.0)
    if errors > most:
        reason = f"{errors:.1%} of the requests failed, more than {most:.1%} ([serve].max_errors)"
        raise ServingFailed("crash", f"{reason}, most often: {results.error or 'the client does not say why'}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
