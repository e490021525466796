"""Solves one small job-shop problem to the best schedule with OR-tools' CP-SAT and prints the seconds that it took.

    python solve.py --problem 3 --linearization 1 --probing 2

The problems are random and the same for the same number: 6 jobs on 6 machines. Needs the package ortools.
"""

from __future__ import annotations

import argparse
import random
import time

from ortools.sat.python import cp_model

JOBS, MACHINES = 6, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linearization", type=int, default=1)
    parser.add_argument("--probing", type=int, default=2)
    parser.add_argument("--symmetry", type=int, default=2)
    parser.add_argument("--branching", choices=["automatic", "fixed", "portfolio"], default="automatic")
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--problem", type=int, default=0)
    args = parser.parse_args()
    model, _ = job_shop(random.Random(args.problem))
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = 1
    parameters.linearization_level = args.linearization
    parameters.cp_model_probing_level = args.probing
    parameters.symmetry_level = args.symmetry
    parameters.restart_period = args.restarts
    parameters.search_branching = {
        "automatic": cp_model.AUTOMATIC_SEARCH,
        "fixed": cp_model.FIXED_SEARCH,
        "portfolio": cp_model.PORTFOLIO_SEARCH,
    }[args.branching]
    started = time.perf_counter()
    status = solver.solve(model)
    if status != cp_model.OPTIMAL:
        raise SystemExit(f"ended as {solver.status_name(status)}, not with the best schedule")
    print(f"length={solver.objective_value:.0f} solver_s={time.perf_counter() - started:.4f}")


def job_shop(chance: random.Random) -> tuple[cp_model.CpModel, cp_model.IntVar]:
    """Return a model that orders the steps of all jobs on the machines, and the length of the schedule."""
    model = cp_model.CpModel()
    on_machine: list[list[cp_model.IntervalVar]] = [[] for _ in range(MACHINES)]
    horizon = JOBS * MACHINES * 20
    length = model.new_int_var(0, horizon, "length")
    for _ in range(JOBS):
        before: cp_model.LinearExprT = 0
        for machine in chance.sample(range(MACHINES), MACHINES):
            takes = chance.randint(1, 20)
            start = model.new_int_var(0, horizon, "")
            on_machine[machine].append(model.new_fixed_size_interval_var(start, takes, ""))
            model.add(start >= before)
            before = start + takes
        model.add(length >= before)
    for steps in on_machine:
        model.add_no_overlap(steps)
    model.minimize(length)
    return model, length


if __name__ == "__main__":
    main()
