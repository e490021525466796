"""Removes secrets from a text before it is stored or goes to a model. One set of rules for everything.

Three things count as secrets: what has the shape of a known provider's key, what is assigned to a name like `api_key`
or `password` in any notation, and the values of environment variables that are named like secrets.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

HIDDEN = "[redacted]"

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|_(?:PASS|PWD|PAT|AUTH|DSN)$", re.IGNORECASE)
_HARMLESS_NAME = re.compile(r"TOKENIZ|TOKENS|KEYBOARD|KEYMAP|KEYRING", re.IGNORECASE)
_SHAPES = tuple(
    (tuple(needles.split()), re.compile(shape, re.VERBOSE | re.DOTALL))
    for needles, shape in (
        # OpenAI, Anthropic, DeepSeek, Cerebras
        ("sk- pk- rk-", r"\b(?:sk|pk|rk|csk)-(?=[\w-]{0,99}\d|[\w-]{0,99}\w{16})[A-Za-z0-9_-]{16,}"),
        ("k_live_ k_test_", r"\b[srp]k_(?:live|test)_\w{10,}"),  # Stripe
        ("gho_ ghp_ ghr_ ghs_ ghu_", r"\bgh[oprsu]_[A-Za-z0-9]{20,}"),
        ("github_pat_ glpat-", r"\bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}"),
        ("hf_ api_org_", r"\bhf_[A-Za-z0-9]{20,} | \bapi_org_[A-Za-z0-9]{20,}"),
        ("gsk_ xai-", r"\bgsk_[A-Za-z0-9]{20,} | \bxai-[A-Za-z0-9]{20,}"),
        ("pplx- nvapi-", r"\bpplx-[A-Za-z0-9]{20,} | \bnvapi-[\w-]{20,}"),
        ("r8_ fw_ KGAT_", r"\br8_[A-Za-z0-9]{20,} | \bfw_[A-Za-z0-9]{20,} | \bKGAT_\w{16,}"),
        ("wandb_v tgp_v", r"\bwandb_v\d_\w{20,} | \btgp_v\d_[\w-]{20,}"),
        ("AKIA ASIA", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        # AWS secret access key
        (
            "",
            r"""(?<![\w/+])(?=[A-Za-z\d/+]{40}(?![\w/+=]))(?=[A-Z\d/+]{0,39}[a-z])(?=[a-z\d/+]{0,39}[A-Z])
                (?=[A-Za-z/+]{0,39}\d)(?![A-Za-z\d]{0,9}/[a-z]+/)[A-Za-z\d/+]{40}""",
        ),
        ("AIza ya29. GOCSPX-", r"\bAIza[\w-]{30,} | \bya29\.[\w-]{20,} | \bGOCSPX-[\w-]{20,}"),
        ("xox xapp-", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,} | \bxapp-[A-Za-z0-9-]{10,}"),
        ("dapi npm_", r"\bdapi[0-9a-f]{32}\b | \bnpm_[A-Za-z0-9]{30,}"),
        ("pypi-AgE SG.", r"\bpypi-AgE[\w-]{30,} | \bSG\.[\w-]{16,}\.[\w-]{16,}"),
        ("dop_v1_ lin_api_ ntn_", r"\bdop_v1_[0-9a-f]{40,} | \blin_api_\w{20,} | \bntn_\w{20,}"),
        (":AA", r"\b\d{8,10}:AA[\w-]{30,}"),
        # JSON web tokens, Neptune
        ("eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+ | (?<![\w-])eyJ[\w-]{40,}=*"),
        (
            "-----BEGIN",
            r"-----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----|\Z)",
        ),
        ("earer", r"(?<=[Bb]earer\s)[A-Za-z0-9._~+/=-]{16,}"),
        ("hooks.slack.com/services/", r"(?<=hooks\.slack\.com/services/)[\w/]{16,}"),
        ("/api/webhooks/", r"(?<=/api/webhooks/)\d+/[\w-]{16,}"),
        # user:password in an address
        ("://", r"""(?<=://)[^\s:/@"']*:[^\s@/"']+(?=@) | (?<=://)[0-9a-f]{24,}(?=@)"""),
    )
)
"""The shapes of known providers' keys, each with the texts of which one is in every key; none for keys without one."""

_WORD = (
    r"(?P<strong>api[_-]?key|secret|passw(?:or)?d|passphrase|(?<=_)pwd|access[_-]?key|private[_-]?key|account[_-]?key"
    r"|auth[_-]?key|credentials?|authorization|auth[_-]?token|access[_-]?token|refresh[_-]?token)"
    r"|(?P<token>token)|(?P<key>key)"
)
_SUFFIX = r"(?:[_-]?(?:access|key|token|value|string|phrase)){0,3}"
_ASSIGNMENTS = (
    # name = "value", "name": "value", name: str = "value", environ["NAME"] = "value", setdefault("NAME", "value")
    (
        ("'", '"'),
        re.compile(
            rf"""(?:{_WORD}){_SUFFIX}(?:\\?["'])?\]?\s*(?:(?::\s*[A-Za-z][\w\[\]| .]{{0,40}})?[:=]>?|(?P<comma>,))\s*"""
            r"""[rbfu]?\\?["'](?:(?:Basic|Bearer|Token)\s+)?(?P<value>[^"'\\\n]{4,400})""",
            re.IGNORECASE,
        ),
    ),
    # NAME=value in a shell or .env file, name: value in YAML, --name value on a command line, password value in .netrc
    (
        ("",),
        re.compile(
            rf"""(?:{_WORD}){_SUFFIX}(?:\s*[=:]\s*|(?<=[a-z])\s+)(?:(?:Basic|Bearer|Token)\s+)?"""
            r"""(?P<bare>[^\s"'\\,;(){}\[\]]{6,400})""",
            re.IGNORECASE,
        ),
    ),
    # add_argument("--api-key", default="value")
    (
        ("default",),
        re.compile(
            rf"""(?<![\w-])--[\w-]{{0,80}}?(?:{_WORD}){_SUFFIX}["'][^\n()]{{0,120}}?"""
            r"""default\s*=\s*["'](?P<value>[^"'\\\n]{4,400})""",
            re.IGNORECASE,
        ),
    ),
    # login("value"), as Hugging Face and W&B take a key
    (("login",), re.compile(r"""(?P<token>\blogin)\(\s*["'](?P<value>[^"'\\\n]{16,400})""")),
)
"""Assignments of secrets, each with the texts of which one is in every such assignment, in lower case."""
_NAMES = ("key", "secret", "passw", "passphrase", "pwd", "credential", "authorization", "token", "login")
"""What every assignment of a secret contains, without regard to case; most texts do not, and are done sooner."""

_TOKENS_OF_TEXT = re.compile(
    r"(?:pad|padding|eos|bos|unk|mask|cls|sep|special|stop|start|end|begin|eot|image|audio|video|next|new|first|last|think"
    r"|prefix|suffix|separator|mask|per|of|s)[_-]?$",
    re.IGNORECASE,
)
"""The word before "token" where it is one of a tokenizer."""

_VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_NO_SECRETS = frozenset({"none", "null", "true", "false", "str", "string", "optional", "required"})
_MIN_SECRET_CHARS = 6
"""Length below which a text cannot hold a secret; skipping short texts makes an import of 100,000 trials fast."""

_LONG_KEY_CHARS = 16


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` without keys, tokens and the values of environment variables that are named like secrets.

    Args:
        text: what will be stored or sent.
        environment: the variables to look at; None for those of this process. Short values are kept, since ordinary
            words may contain them.
    """
    if len(text) < _MIN_SECRET_CHARS:
        return text
    for value in _environment_secrets(os.environ if environment is None else environment):
        text = text.replace(value, HIDDEN)
    present = tuple(index for index, (needles, _) in enumerate(_SHAPES) if not needles or _has_any(text, needles))
    text = _any_shape(present).sub(HIDDEN, text)
    folded = text.casefold()
    if _has_any(folded, _NAMES):
        for needles, pattern in _ASSIGNMENTS:
            if _has_any(folded, needles):
                text = pattern.sub(_without_value, text)
    return text


def _has_any(text: str, needles: Sequence[str]) -> bool:
    return any(needle in text for needle in needles)


@lru_cache(maxsize=256)
def _any_shape(indices: tuple[int, ...]) -> re.Pattern[str]:
    """Return one pattern for the shapes that a text may have: few alternatives are tried at each character."""
    return re.compile("|".join(_SHAPES[index][1].pattern for index in indices), re.VERBOSE | re.DOTALL)


def _environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the values to hide, longest first, as they are and as JSON writes them."""

    def values() -> Iterator[str]:
        for name, value in environment.items():
            if _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name) and _is_long_enough(value):
                yield value
                yield json.dumps(value)[1:-1]

    return sorted(set(values()), key=len, reverse=True)


def _is_long_enough(value: str) -> bool:
    is_mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return len(value) >= (_MIN_SECRET_CHARS if is_mixed else 8)


def _without_value(found: re.Match[str]) -> str:
    """Return an assignment with its value hidden, or as it is where the value is not secret."""
    group = "bare" if "bare" in found.re.groupindex else "value"
    value = found[group]
    if not _is_secret(found, value, is_bare=group == "bare"):
        return found.group()
    start = found.start(group) - found.start()
    return f"{found.group()[:start]}{HIDDEN}{found.group()[start + len(value) :]}"


def _is_secret(found: re.Match[str], value: str, *, is_bare: bool) -> bool:
    if value.startswith(("$", "{", "<", "[")) or value.lower() in _NO_SECRETS:
        return False
    if _VARIABLE_NAME.fullmatch(value) or (is_bare and _DOTTED_NAME.fullmatch(value)):
        return False
    groups = found.groupdict()
    if groups.get("comma") and not (groups["strong"] or groups["token"] or groups["key"] or "").isupper():
        return False  # a list of names, unless it is setdefault("API_KEY", "value")
    if groups.get("strong") and not is_bare:
        return True
    before = found.string[max(found.start() - 12, 0) : found.start()]
    if groups.get("token") and _TOKENS_OF_TEXT.search(before):
        return False
    has_digit = any(c.isdigit() for c in value) and not re.fullmatch(r"[\d.,:eE+-]+", value)
    is_one_word = not re.search(r"\s", value)
    min_chars = _LONG_KEY_CHARS if groups.get("key") else 8
    return has_digit and is_one_word and len(value) >= min_chars
