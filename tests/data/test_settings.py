from pathlib import Path

import pytest

from data.settings import SETTINGS, Settings, SettingsError


def test_defaults_need_no_environment() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"FOREWARN_VAR": " "}).var == Path("var")


def test_every_setting_is_read() -> None:
    given = {
        "FOREWARN_VAR": "elsewhere",
        "FOREWARN_DATABASE_URL": "postgresql://a/b",
        "FOREWARN_VALKEY_URL": "unix:///tmp/v.sock",
        "FOREWARN_PSEUDONYM_KEY": "ab" * 32,
        "FOREWARN_PSEUDONYM_HASH": "sm3",
        "FOREWARN_ZONE": "UTC",
        "FOREWARN_BUNDLE": "bundles/7",
        "FOREWARN_MLFLOW_URL": "http://localhost:5000",
        "FOREWARN_DISTRICTS": "districts.geojson",
        "FOREWARN_RECEIVERS": "receivers.json",
        "FOREWARN_PUBLIC_URL": "https://forewarn.example",
        "FOREWARN_NOTICE": "training room",
    }
    assert set(given) == {setting.name for setting in SETTINGS}
    settings, default = Settings.from_environment(given), Settings()
    assert all(getattr(settings, name) != getattr(default, name) for name in vars(default))


def test_the_key_is_not_shown() -> None:
    assert "abab" not in repr(Settings(pseudonym_key=b"\xab" * 32))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FOREWARN_PSEUDONYM_KEY", "hunter2", "expected 64 or more hexadecimal digits, found 7"),
        ("FOREWARN_PSEUDONYM_KEY", "ab" * 31, "expected 64 or more hexadecimal digits"),
        ("FOREWARN_PSEUDONYM_HASH", "md5", "expected sha256 or sm3, found 'md5'"),
        ("FOREWARN_ZONE", "Mars/Olympus", "expected an IANA time zone"),
        ("FOREWARN_ZONE", "../etc/passwd", "expected an IANA time zone"),
        ("FOREWARN_DATABASE_URL", "mysql://x", "expected a URL that starts with postgresql://"),
        ("FOREWARN_DATABASE_URL", "localhost", "expected a URL"),
        ("FOREWARN_VALKEY_URL", "http://x", "expected a URL that starts with valkey://"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: {message}") as raised:
        Settings.from_environment({name: value})
    if name.endswith("KEY"):
        assert value not in str(raised.value)
