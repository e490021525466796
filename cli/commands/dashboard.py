"""`tunesmith dashboard`: serves Optuna's dashboard on this machine, from a copy of the study that follows the run."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tunesmith.cli.session.local_server import LocalGuard
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require

HOST = "127.0.0.1"
UPDATE_INTERVAL_S = 2.0
"""Seconds between two updates of the copy."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing per request."""


def serve_dashboard(study: Path, *, history: Path | None, port: int) -> None:
    """Serve until Ctrl-C. Only the address that is printed opens the page: it holds a token, new at each start.

    Args:
        study: study.toml, its folder, or a study's name.
        history: the history file; None for the default path.
        port: of 127.0.0.1; 0 to pick a free one.

    Raises:
        HistoryError: the history or the study does not exist.
        ProjectError: optuna-dashboard is missing, or the port is in use.
    """
    require("optuna_dashboard", purpose="tunesmith dashboard", extra="dashboard")
    from optuna_dashboard import wsgi  # 1 s

    from tunesmith.tools.interop.optuna.mirror import Mirror
    from tunesmith.tools.interop.optuna.storage import quiet_storage

    opened = open_study(study, history)
    with opened.history, quiet_storage():
        mirror = Mirror(opened.record)
        mirror.update(opened.history, opened.record)
        token = secrets.token_urlsafe(24)
        server = _listening(LocalGuard(wsgi(mirror.storage), token), port)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
        address = f"http://{HOST}:{server.server_port}/?token={token}"
        print(f"{address} shows {opened.record.name} and follows it; press Ctrl-C to stop", flush=True)
        # A process that a shell script starts in the background ignores SIGINT unless it sets a handler.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            _follow(mirror, opened)
        except KeyboardInterrupt:
            print()
        finally:
            server.shutdown()
            server.server_close()


def _follow(mirror: Any, opened: OpenStudy) -> None:
    while True:
        time.sleep(UPDATE_INTERVAL_S)
        mirror.update(opened.history, opened.history.study(opened.record.name))


def _listening(application: Any, port: int) -> WSGIServer:
    try:
        return make_server(HOST, port, application, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        message = f"port {port} of {HOST} cannot be used: {error.strerror}; choose another with --port"
        raise ProjectError(message) from None
