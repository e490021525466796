"""Guards a web server of this machine: the expected Host and Origin, and a token, so that no web page reaches it.

A page in a browser can reach 127.0.0.1 through a domain name that resolves there (DNS rebinding); its requests then
carry that name as Host. Other users of the machine can connect, but do not know the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


class LocalGuard:
    """A WSGI application that passes on only what its owner's browser asks.

    The address with `?token=...` sets a cookie and leads to the page; later requests carry the cookie, or the token as
    `Authorization: Bearer`.

    Args:
        application: what is guarded.
        token: the secret.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], token: str) -> None:
        self._application = application
        self._token = token

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 403 to foreign names, 401 without the token, else what the application answers."""
        port = environ.get("SERVER_PORT", "")
        if not _is_local(environ.get("HTTP_HOST", ""), port) or not _is_local_origin(environ.get("HTTP_ORIGIN"), port):
            return _refused(start_response, "403 Forbidden", "this server answers to 127.0.0.1 only\n")
        given = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0]
        if self._is_token(given):
            headers = [("Location", environ.get("PATH_INFO", "/") or "/"), ("Set-Cookie", self._cookie(port))]
            start_response("303 See Other", [*headers, ("Content-Length", "0")])
            return [b""]
        if self._is_token(_cookie_value(environ, port)) or self._is_token(_bearer(environ)):
            return self._application(environ, start_response)
        return _refused(start_response, "401 Unauthorized", "open the address that the program printed\n")

    def _cookie(self, port: str) -> str:
        return f"{_cookie_name(port)}={self._token}; Path=/; HttpOnly; SameSite=Strict"

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


def _is_local(host: str, port: str) -> bool:
    return host.lower() in {f"{name}:{port}" for name in _LOCAL_NAMES}


def _is_local_origin(origin: str | None, port: str) -> bool:
    """Return whether a request comes from the server's own page, or not from a page at all."""
    return origin is None or origin.lower() in {f"http://{name}:{port}" for name in _LOCAL_NAMES}


def _cookie_name(port: str) -> str:
    """Return a name with the port: a browser sends cookies of 127.0.0.1 to every port."""
    return f"tunesmith-{port}"


def _cookie_value(environ: dict[str, Any], port: str) -> str:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(_cookie_name(port))
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _bearer(environ: dict[str, Any]) -> str:
    return str(environ.get("HTTP_AUTHORIZATION", "")).removeprefix("Bearer ")


def _refused(start_response: Callable[..., Any], status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))])
    return [text.encode()]
