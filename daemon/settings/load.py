"""The settings: `config.yaml`, overridden by environment (`DRIFTLINE_REDIS__URL=…`), overridden by `--set`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.settings.models import (
    ConsoleSettings,
    ExtractorSettings,
    MemorySettings,
    ModbusSettings,
    MqttSettings,
    OpcUaSettings,
    PolicySettings,
    RedisSettings,
    ReportSettings,
    RetentionSettings,
    SceneSettings,
    ScheduleSettings,
    Section,
    SourceSettings,
    TelemetrySettings,
    WebhookSettings,
)
from memory.detector import Capacity
from memory.errors import DriftlineError
from memory.exported.detector import EXPORTED
from policies.fitting import Limits

SECRETS = ("password", "secret", "token")
ENV_PREFIX = "DRIFTLINE_"
# Variables of the benchmarks and the suite that share the prefix and are no settings.
NOT_SETTINGS = {"DRIFTLINE_SHARED"}


class ConfigError(DriftlineError):
    """A setting is unknown or has a value it cannot have."""


class Settings(BaseSettings):
    """All settings of one line."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    line: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", description="name of the line")] = "line1"
    state_dir: Path = Field(Path("state"), description="folder of versions, ledger and kept frames")
    log_format: Literal["console", "json"] = Field("console", description="for people or for machines")
    log_file: Path | None = Field(None, description="file of the log; null: stderr")
    log_mb: float = Field(100, gt=0, description="room for that file and four older ones")
    extractor: ExtractorSettings = ExtractorSettings()
    scene: SceneSettings = SceneSettings()
    memory: MemorySettings = MemorySettings()
    policy: PolicySettings = PolicySettings()
    source: SourceSettings = SourceSettings()
    redis: RedisSettings = RedisSettings()
    retention: RetentionSettings = RetentionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    reports: ReportSettings = ReportSettings()
    console: ConsoleSettings = ConsoleSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    mqtt: MqttSettings = MqttSettings()
    webhook: WebhookSettings = WebhookSettings()
    modbus: ModbusSettings = ModbusSettings()
    opcua: OpcUaSettings = OpcUaSettings()

    @model_validator(mode="after")
    def _something_exported(self) -> Settings:
        if self.memory.detector == EXPORTED and self.extractor.scorer is None:
            raise ValueError("memory.detector: exported needs extractor.scorer, the file of the model")
        if self.extractor.scorer is not None and self.source.depth_page is not None:
            raise ValueError("extractor.scorer sees colours alone: set source.depth_page to null")
        return self

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # all sources come by name
        cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment has priority over the file, whose values are passed to the constructor."""
        del settings_cls
        return sources["env_settings"], sources["init_settings"]

    @property
    def limits(self) -> Limits:
        """The bounds of a lesson."""
        return Limits(
            capacity=Capacity(self.memory.bank_patches, self.memory.lesson_patches),
            calibration_parts=self.memory.held_out_parts,
            defects=self.memory.replay_defects,
            rate=self.policy.false_reject_rate,
            review_rate=self.policy.review_rate,
        )


def load(path: Path | None, overrides: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a YAML file (None: the defaults) under the environment and `section.key=value` overrides.

    Raises ConfigError naming the key, its value and the nearest valid key or the allowed values.
    """
    values = _read(path) if path else {}
    over: dict[str, Any] = {}
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign:
            raise ConfigError(expected="--set section.key=value", came=repr(override), do="add the value after =")
        _put(over, key.strip().split("."), _yaml(value, f"--set {key}"))
    _refuse_unknown_environment(environ or {})

    class Overridden(Settings):
        """The settings with `--set` above every other source."""

        @classmethod
        def settings_customise_sources(  # type: ignore[override]  # as above
            cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            above = InitSettingsSource(settings_cls, init_kwargs=over)
            return above, *super().settings_customise_sources(settings_cls, **sources)

    try:
        return Overridden(**values) if over else Settings(**values)
    except ValidationError as error:
        raise _readable(error) from error


def valid_keys() -> Iterator[str]:
    """Every setting as `section.key`, in the order of declaration."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from (f"{name}.{key}" for key in section.model_fields)
        else:
            yield name


def _read(path: Path) -> dict[str, Any]:
    try:
        values = _yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            expected="a readable configuration file in UTF-8", came=f"{path}: {why}", do="name it with --config"
        ) from error
    if not isinstance(values, dict | None):
        raise ConfigError(expected="`key: value` lines", came=f"{path}: {type(values).__name__}", do="see config.yaml")
    return values or {}


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Its own text quotes the line, which may hold a password.
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or type(error).__name__
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise ConfigError(expected="valid YAML", came=f"{where}: {problem}", do="correct that line") from None


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value


def _refuse_unknown_environment(environ: Mapping[str, str]) -> None:
    known = {ENV_PREFIX + key.replace(".", "__").upper() for key in valid_keys()} | NOT_SETTINGS
    known |= {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for name in environ:
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise ConfigError(
                expected="a known setting",
                came=f"{name}={_shown(name, environ[name])} in the environment",
                do=f"did you mean {near}?",
            )


def _shown(key: str, value: object) -> str:
    """A refused value as it may be told: nothing of what is meant as a password, of an address that may hold one, or of
    a whole section."""
    words = re.split(r"[._]+", key.lower())
    meant = any(difflib.get_close_matches(word, SECRETS, n=1, cutoff=0.6) for word in words)
    return "…" if meant or "://" in str(value) or isinstance(value, dict) else repr(value)


def _readable(error: ValidationError) -> ConfigError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, valid_keys(), n=1, cutoff=0)[0]
        came = f"{key}: {_shown(key, problem['input'])}"
        return ConfigError(expected="a known setting", came=came, do=f"did you mean {near}?")
    return ConfigError(
        expected=f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}",
        came=_shown(key, problem["input"]),
        do="correct it in config.yaml, the environment or --set; `driftline config schema` lists all",
    )
