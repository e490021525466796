"""Builds the environment of a trial's process: what is inherited, and what Tunesmith adds. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.files.workspace import Workspace
from tunesmith.study.space.condition import Value

_ALLOWED = re.compile(
    r"""PATH|LANG|LANGUAGE|LC_\w+|TZ|TERM|COLUMNS|LINES|NO_COLOR|USER|LOGNAME|SHELL
    |VIRTUAL_ENV|CONDA_PREFIX|CONDA_DEFAULT_ENV|PYENV_ROOT|PYENV_VERSION|LD_LIBRARY_PATH|CPATH|LIBRARY_PATH
    |PYTHON(PATH|HASHSEED|DONTWRITEBYTECODE|OPTIMIZE|WARNINGS|UTF8|IOENCODING|MALLOC|FAULTHANDLER)
    |(OMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|NUMBA|KMP|GOMP|TBB|MALLOC)_\w+
    |(CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|ROCR|HIP|HSA|XLA|TORCH|TORCHINDUCTOR|PYTORCH|TRITON|TF_CPP|TF_XLA|JAX|KERAS)_\w+""",
    re.VERBOSE,
)
"""Variables that a sandboxed trial inherits: those that configure programs, locale, threads and GPUs; never a key."""
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|PROXY", re.IGNORECASE)
_IN_SANDBOX = {"HOME": "/tmp", "TMPDIR": "/tmp"}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def without_secrets(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what a sandboxed trial may inherit: allowed names that do not sound like a secret."""
    names = [name for name in inherited if _ALLOWED.fullmatch(name) and not _SECRET.search(name)]
    # HOME is replaced in the sandbox; packages that were installed for the user must still be found.
    base = inherited.get("PYTHONUSERBASE") or f"{inherited.get('HOME', '')}/.local"
    return {**{name: inherited[name] for name in names}, **_IN_SANDBOX, "PYTHONUSERBASE": base}


def trial_environment(
    inherited: Mapping[str, str],
    *,
    extra: Mapping[str, str],
    slot: Slot,
    values: Mapping[str, Value],
    workspace: Workspace,
) -> dict[str, str]:
    """Return the whole environment of one trial.

    Args:
        inherited: the environment of Tunesmith itself.
        extra: [run].env of the study.
        slot: its GPUs become CUDA_VISIBLE_DEVICES, its threads OMP_NUM_THREADS if the user set none.
        values: content of TUNESMITH_PARAMS.
        workspace: the folders of the command.
    """
    threads = {} if any(name in inherited for name in _THREAD_VARIABLES) else {_THREAD_VARIABLES[0]: str(slot.cpus)}
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)} if slot.gpus else {}
    if slot.gpus and "CUDA_VISIBLE_DEVICES" not in inherited:
        # The ids are NVML's, in the order of PCI addresses; CUDA would order by speed.
        gpus["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    return {
        **inherited,
        **threads,
        **extra,
        **gpus,
        # Otherwise a script's lines arrive in blocks of 8 KiB, long after they were printed.
        "PYTHONUNBUFFERED": "1",
        "TUNESMITH_PARAMS": json.dumps(dict(values)),
        "TUNESMITH_REPORT": str(workspace.report),
        "TUNESMITH_ARTIFACTS": str(workspace.artifacts),
        "TUNESMITH_TRIAL_FOLDER": str(workspace.folder),
    }
