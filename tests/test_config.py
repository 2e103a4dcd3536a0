"""Settings: file, then environment, then --set; mistakes name key, value and the nearest valid key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.settings.load import ConfigError, Settings, load, valid_keys

ROOT = Path(__file__).resolve().parents[1]


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_holds_every_key_with_its_default_and_a_comment() -> None:
    text = (ROOT / "config.yaml").read_text()
    document = yaml.safe_load(text)
    keys = {f"{s}.{k}" for s, v in document.items() if isinstance(v, dict) for k in v}
    keys |= {s for s, v in document.items() if not isinstance(v, dict)}
    assert keys == set(valid_keys())
    assert load(ROOT / "config.yaml") == Settings()
    for key in valid_keys():
        line = next(ln for ln in text.splitlines() if ln.strip().startswith(f"{key.split('.')[-1]}:"))
        assert "#" in line, f"{key} is not explained"


@pytest.mark.parametrize("secret", ["not base64!", "", "whsec_"])
def test_a_webhook_s_secret_is_base64(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"webhook\.secret"):
        load(None, [f"webhook.secret={secret!r}"])
    loaded = load(None, ["webhook.secret=whsec_c2VjcmV0"])
    assert "c2VjcmV0" not in str(loaded.model_dump(mode="json")), "settings that are shown do not show it"


def test_every_setting_has_a_description() -> None:
    schema = Settings.model_json_schema()
    for name, section in schema["$defs"].items():
        for key, field in section.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


def test_environment_overrides_the_file_and_set_overrides_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "redis: {url: 'redis://file'}\npolicy: {audit_share: 0.5}\n")
    assert load(path).redis.url == "redis://file"
    monkeypatch.setenv("DRIFTLINE_REDIS__URL", "redis://environment")
    assert load(path).redis.url == "redis://environment"
    loaded = load(path, ["redis.url=redis://set", "policy.deadline_ms=50"])
    assert loaded.redis.url == "redis://set"
    assert (loaded.policy.audit_share, loaded.policy.deadline_ms) == (0.5, 50)
    assert loaded.redis.prefix == "driftline"


def test_a_usb_camera_is_named_by_its_number_from_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("source: {kind: camera, camera: 0}")
    assert load(file).source.camera == "0"
    assert load(None, ["source.camera=0"]).source.camera == "0"
    monkeypatch.setenv("DRIFTLINE_SOURCE__CAMERA", "1")
    assert load(None).source.camera == "1"
    with pytest.raises(ConfigError, match=r"source\.camera"):
        load(None, ["source.camera=true"])


def test_a_camera_s_depth_is_one_of_the_usual_from_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(None, ["source.bits=12"]).source.bits == 12
    monkeypatch.setenv("DRIFTLINE_SOURCE__BITS", "14")
    assert load(None).source.bits == 14
    with pytest.raises(ConfigError, match="8, 10, 12, 14 or 16"):
        load(None, ["source.bits=11"])
    with pytest.raises(ConfigError, match=r"source\.page"):
        load(None, ["source.page=-1"])


@pytest.mark.parametrize(
    ("text", "came", "near"),
    [
        ("polcy: {audit_share: 1}", "polcy", "policy"),
        ("policy: {false_reject_rte: 0.1}", "policy.false_reject_rte: 0.1", "policy.false_reject_rate"),
        ("stat_dir: x", "stat_dir: 'x'", "state_dir"),
    ],
)
def test_an_unknown_key_names_key_value_and_the_nearest(tmp_path: Path, text: str, came: str, near: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, text))
    assert came in raised.value.came
    assert near in raised.value.do


def test_an_unknown_environment_variable_or_override_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DRIFTLINE_REDIS__URL"):
        load(None, environ={"DRIFTLINE_REDIS__ULR": "redis://x"})
    with pytest.raises(ConfigError, match=r"did you mean redis\.url"):
        load(None, ["redis.ulr=redis://x"])
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load(None, ["redis.url"])
    load(None, environ={"DRIFTLINE_SHARED": str(tmp_path), "PATH": "/bin"})


def test_a_scale_and_a_smallest_defect_are_not_set_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scale or smallest_defect_px, not both"):
        load(write(tmp_path, "scene: {scale: 0.5, smallest_defect_px: 6}"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("policy: {false_reject_rate: 2}", ("policy.false_reject_rate", "2")),
        ("policy: {false_reject_rate: many}", ("policy.false_reject_rate", "many")),
        ("source: {kind: telepathy}", ("source.kind", "telepathy")),
        ("line: 'a b'", ("line", "a b")),
        ("extractor: {layers: []}", ("extractor.layers", "[]")),
    ],
)
def test_a_wrong_value_names_key_and_value(tmp_path: Path, text: str, names: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, text))
    assert names[0] in raised.value.expected
    assert names[1] in raised.value.came


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "\tx: 1"])
def test_a_file_that_is_no_mapping_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load(write(tmp_path, text))
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "missing.yaml")


def test_settings_do_not_change_after_start() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().policy.audit_share = 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"yaml": "mqtt: {passwrd: hunter2}"},
        {"yaml": "webhook: {url: 'https://plant', secret: hunter2}"},
        {"yaml": "webhook: {secrets: hunter2}"},
        {"yaml": "redis: {ulr: 'redis://me:hunter2@host'}"},
        {"environ": {"DRIFTLINE_MQTT__PASSWRD": "hunter2"}},
        {"environ": {"DRIFTLINE_WEBHOOK__SECRET": "hunter2"}},
        {"set": ["mqtt.pasword=hunter2"]},
        {"environ": {"DRIFTLINE_MQTT_PASSWORD": "hunter2"}},
        {"environ": {"DRIFTLINE_WEBHOOK_SECRET": "hunter2"}},
        {"yaml": "mqqt: {host: a, password: hunter2}"},
        {"yaml": "webhook: {url: 'ftp://plant/hunter2'}"},
    ],
)
def test_a_refused_setting_tells_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    for name, value in given.get("environ", {}).items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "config.yaml"
    path.write_text(given.get("yaml", ""))
    with pytest.raises(ConfigError) as told:
        load(path, given.get("set", ()), given.get("environ", {}))
    assert "hunter2" not in str(told.value)
    assert "…" in told.value.came


def test_wrong_yaml_is_told_by_its_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("line: a\nmqtt:\n  password: hunter2: abc\n")
    with pytest.raises(ConfigError, match="line 3") as told:
        load(path)
    assert "hunter2" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_file_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("line: L\xe4ufer".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)
