"""`tunesmith dashboard`: Optuna's dashboard over a mirror of the study, kept up to date, for this machine alone."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.study.errors import ProjectError

HOST = "127.0.0.1"
EVERY_S = 2.0
"""How often the mirror looks for what is new."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def serve_dashboard(study: Path, *, history: Path | None, port: int) -> None:
    """Serve until Ctrl-C.

    Args:
        study: study.toml or its folder.
        history: the history file; None for the usual place.
        port: of 127.0.0.1; 0 for any free one.

    Raises:
        HistoryError: there is no history, or no such study.
        ProjectError: the extra is missing, or the port is taken.
    """
    try:
        from optuna_dashboard import wsgi  # 1 s
    except ImportError:
        raise ProjectError("the dashboard needs a package: pip install 'tunesmith[dashboard]'") from None
    from tunesmith.tools.interop.optuna.mirror import Mirror
    from tunesmith.tools.interop.optuna.storage import quietly

    located = open_study(study, history)
    with located.history, quietly():
        mirror = Mirror(located.record)
        mirror.update(located.history, located.record)
        server = _listening(wsgi(mirror.storage), port)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
        print(
            f"http://{HOST}:{server.server_port}/ shows {located.record.name} as it goes on; Ctrl-C ends this",
            flush=True,
        )
        # Set by us: a process that a script starts in the background ignores Ctrl-C otherwise.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            _follow(mirror, located)
        except KeyboardInterrupt:
            print()
        finally:
            server.shutdown()
            server.server_close()


def _follow(mirror: Any, located: OpenStudy) -> None:
    while True:
        time.sleep(EVERY_S)
        mirror.update(located.history, located.history.study(located.record.name))


def _listening(application: Any, port: int) -> WSGIServer:
    try:
        return make_server(HOST, port, application, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        message = f"port {port} of {HOST} cannot be used: {error.strerror}; name another with --port"
        raise ProjectError(message) from None
