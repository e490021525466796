"""Secrets in any notation are removed, and ordinary code and logs stay as they are."""

from __future__ import annotations

import json

import pytest

from tunesmith.history.redact import HIDDEN, redact

HEX = "0123456789abcdef0123456789abcdef01234567"

# Each text with the secret in it between « and ».
SECRETS = [
    'client = OpenAI("«sk-proj-abcDEF0123456789abcdef»")',
    "«sk-ant-api03-AAAAbbbbCCCC1234»",
    "«sk-or-v1-0123456789abcdef0123»",
    "«hf_abcdefghijklmnopqrstuvwxyz»",
    "«ghp_abcdefghijklmnopqrst12» «github_pat_11ABCDEFG0abcdefghij»",
    "«AKIAIOSFODNN7EXAMPLE»",
    'aws_secret_access_key = "«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"',
    "«AIzaSyA1234567890abcdefghijklmnopqrstuv»",
    "«xoxb-123456789012-abcdef» and «gsk_abcdefghijklmnopqrst1234»",
    "https://hooks.slack.com/services/«T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX»",
    f'os.environ["WANDB_API_KEY"] = "«{HEX}»"',
    f'os.environ.setdefault("WANDB_API_KEY", "«{HEX}»")',
    f'wandb.login(key="«{HEX}»")',
    f'login("«{HEX}»")',
    f"WANDB_API_KEY=«{HEX}» python train.py",
    f"machine api.wandb.ai login user password «{HEX}»",
    "«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij»",
    "«-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----»",
    "-----BEGIN PRIVATE KEY-----\n«MIIEabcdefgh»",
    "postgres://«user:hunter2»@db/x",
    "redis://«:hunter2»@host",
    "Authorization: Bearer «abcdefghijklmnop1234»",
    'headers = {"Authorization": "Basic «dXNlcjpodW50ZXIyMg==»"}',
    'api_key = "«hunter2hunter»"',
    'password="«hunter2»"',
    "{'password': '«correct horse battery»'}",
    'def f(api_key: str = "«abcd1234efgh»"):',
    'p.add_argument("--api-key", default="«abcd1234»")',
    "python train.py --api-key «abcd1234efgh» --lr 0.1",
    "client_secret: «abc123def456»",
    'HF_TOKEN="«abc123def456»"',
    'load(use_auth_token="«abc123def456»")',
    '{\\"api_key\\": \\"«abcd1234»\\"}',
    'openai_key = "«0123456789abcdefABCD»"',
    "export COHERE_API_KEY=«abcdefgh12345678»",
    "DB_PASSWORD=«hunter22»",
    "AccountName=x;AccountKey=«abc123+/def456789»==;",
]


@pytest.mark.parametrize("marked", SECRETS)
def test_a_secret_is_removed(marked: str) -> None:
    secrets = [part.partition("»")[0] for part in marked.split("«")[1:]]
    shown = redact(marked.replace("«", "").replace("»", ""), {})
    assert HIDDEN in shown
    assert not any(secret in shown for secret in secrets)
    assert redact(shown, {}) == shown


@pytest.mark.parametrize("between", ["\n", " ", "\n\n", " | ", "\u2028", f"\n{'x' * 50_000}\n"])
def test_secrets_of_every_kind_are_removed_from_one_text(between: str) -> None:
    marked = [text for text in SECRETS if "PRIVATE KEY" not in text]  # one without an end hides the rest
    secrets = [part.partition("»")[0] for text in marked for part in text.split("«")[1:]]
    shown = redact(between.join(marked).replace("«", "").replace("»", ""), {})
    assert [secret for secret in secrets if secret in shown] == []


ORDINARY = [
    "max_tokens = 4096",
    'tokenizer = "bert-base-uncased-2"',
    'pad_token = "<pad2>"',
    'eos_token="end_of_text_1"',
    'sort_key = "val_loss"',
    "rng = jax.random.PRNGKey(42)",
    "for key, value in params.items():",
    'api_key = os.environ["OPENAI_API_KEY"]',
    "client = Client(api_key=args.api_key, token=get_token())",
    "password = getpass.getpass()",
    "api_key: str | None = None",
    'keys = ["a1", "b2"]',
    "sk-learn-pipeline-config",
    "tokens per second: 123456.7",
    "secret_dim = 128",
    'state["key"] = state_dict["model.layers.0"]',
    "| 3 | lr=0.001 | token_lr=0.0123456 | key_dim=64 |",
    'monitor_key="eval/loss_1"',
    'x = {"key": "layer1"}',
    "the key is to lower the learning rate; tokens 1000000",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text, {}) == text


def test_values_of_variables_named_like_secrets_are_removed_wherever_they_stand() -> None:
    environment = {
        "HF_TOKEN": "abc123",
        "MY_SECRET": 'quo"ted-value',
        "TOKENIZERS_PARALLELISM": "disabled",
        "HOME": "/home/me",
    }
    text = f"abc123 {json.dumps('quo' + chr(34) + 'ted-value')} disabled /home/me"
    assert redact(text, environment) == f'{HIDDEN} "{HIDDEN}" disabled /home/me'


def test_json_with_a_secret_stays_json() -> None:
    stored = json.dumps({"run": {"env": {"WANDB_API_KEY": HEX}, "command": "train --password=hunter2222"}})
    assert json.loads(redact(stored, {}))["run"]["env"]["WANDB_API_KEY"] == HIDDEN
