"""The settings: `config.yaml`, overridden by environment (`DRIFTLINE_REDIS__URL=…`), overridden by `--set`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from memory.errors import DriftlineError
from policies.admission import Limits

ENV_PREFIX = "DRIFTLINE_"
# Variables of the benchmarks and the suite that share the prefix and are no settings.
NOT_SETTINGS = {"DRIFTLINE_SHARED"}


class ConfigError(DriftlineError):
    """A setting is unknown or has a value it cannot have."""


class Section(BaseModel):
    """A part of the settings: no unknown key, no change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtractorSettings(Section):
    """The backbone."""

    model: str = Field("driftline-tiny", description="driftline-tiny, or any timm model with features_only support")
    layers: tuple[int, ...] = Field((2, 3), min_length=1, description="its feature layers, finest first")
    weights: str = Field("shipped", description="shipped, hub, a path to .safetensors or .pth, or untrained (random)")
    normalize: bool = Field(True, description="apply the model's mean and deviation; off if folded in")
    input_px: int = Field(256, ge=32, le=2048, description="images are resized to this square")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, ...")
    backend: Literal["torch", "openvino", "openvino-bf16", "openvino-int8", "onnx"] = Field(
        "torch", description="what computes it; others than torch judge only where they give its verdicts"
    )
    threads: int = Field(2, ge=1, description="CPU threads for backbone and search")


class MemorySettings(Section):
    """The bank and what proves it."""

    bank_patches: int = Field(10_000, ge=1, description="patches in the bank at most")
    lesson_patches: int = Field(1_000, ge=1, description="new patches one lesson may add at most")
    held_out_parts: int = Field(200, ge=1, description="good parts that calibrate the threshold at most")
    replay_defects: int = Field(256, ge=1, description="confirmed defects kept to prove against at most")
    keep_versions: int = Field(20, ge=1, description="versions that can be rolled back to")
    seed: int = Field(0, ge=0, description="seed of every random choice")


class PolicySettings(Section):
    """Decisions."""

    false_reject_rate: float = Field(0.02, gt=0, lt=1, description="share of good parts that may be flagged")
    audit_share: float = Field(0.02, ge=0, le=1, description="random share of frames to ask about")
    review_rate: float = Field(0.1, gt=0, lt=1, description="share of good parts asked about though passed, at most")
    asks_per_hour: int = Field(30, ge=0, description="questions an hour at most, audited parts beside them")
    lesson_after: int = Field(10, ge=1, description="a lesson starts after this many new confirmations")
    shadow_frames: int = Field(0, ge=0, description="frames a proposal scores beside the head before it may judge")
    deadline_ms: int | None = Field(None, ge=1, description="older frames are answered UNKNOWN; null: never")


class SourceSettings(Section):
    """Where frames come from."""

    kind: Literal["redis", "folder"] = Field("redis", description="a Redis Stream or a watched folder")
    folder: Path = Field(Path("inbox"), description="the watched folder, for kind: folder")
    settle_ms: int = Field(300, ge=0, description="a file must be this old and unchanged before it is read")
    allowed_roots: tuple[Path, ...] = Field((), description="folders a frame message may refer to by path")
    max_bytes: int = Field(64_000_000, ge=1, description="larger image files are refused unread")
    max_pixels: int = Field(100_000_000, ge=1, description="images with more pixels are refused undecoded")


class RedisSettings(Section):
    """The wire."""

    url: str = Field("redis://127.0.0.1:6379/0", description="or memory:// (in-process, lost at exit)")
    prefix: str = Field("driftline", pattern=r"^[A-Za-z0-9_.-]+$", description="first part of stream names")
    keep_entries: int = Field(10_000, ge=1, description="newest entries kept in a stream without consumer groups")


class RetentionSettings(Section):
    """What stays on disk."""

    ring_frames: int = Field(2_000, ge=0, description="newest passed frames kept")
    flagged_days: float = Field(90, gt=0, description="flagged and audited frames without answer kept")
    flagged_frames: int = Field(20_000, ge=0, description="newest of these kept at most")
    ledger_days: float = Field(365, gt=0, description="rows of the ledger kept; answered frames stay for ever")


class ScheduleSettings(Section):
    """How often the background jobs run, in seconds."""

    admission_s: float = Field(60, gt=0, description="look whether a lesson is due")
    recalibration_s: float = Field(86_400, gt=0, description="learn from whatever was confirmed")
    snapshot_s: float = Field(5, gt=0, description="publish the status, notice versions made elsewhere")
    retention_s: float = Field(600, gt=0, description="delete what retention no longer keeps, trim streams")
    misfire_grace_s: int = Field(300, ge=1, description="a job this late still runs; later is logged as missed")

    @property
    def fresh_ms(self) -> float:
        """A service that said nothing for longer than three snapshots take is not running."""
        return 3_000 * self.snapshot_s


class ConsoleSettings(Section):
    """What serves people and other programs over HTTP."""

    host: str = Field("127.0.0.1", description="address to listen on; beyond this PC only with tokens or proxies")
    port: int = Field(8090, ge=1, le=65535, description="port to listen on")
    tokens: Path | None = Field(None, description="file of `driftline token`; null: nobody needs one")
    proxies: tuple[str, ...] = Field((), description="addresses whose X-Forwarded-User and -Role are believed")


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
    extractor: ExtractorSettings = ExtractorSettings()
    memory: MemorySettings = MemorySettings()
    policy: PolicySettings = PolicySettings()
    source: SourceSettings = SourceSettings()
    redis: RedisSettings = RedisSettings()
    retention: RetentionSettings = RetentionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    console: ConsoleSettings = ConsoleSettings()

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # all sources come by name
        cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment stands above the file, whose contents are passed to the constructor."""
        del settings_cls
        return sources["env_settings"], sources["init_settings"]

    @property
    def limits(self) -> Limits:
        """The bounds of a lesson."""
        return Limits(
            bank=self.memory.bank_patches,
            lesson=self.memory.lesson_patches,
            held_out=self.memory.held_out_parts,
            replay=self.memory.replay_defects,
            rate=self.policy.false_reject_rate,
            review=self.policy.review_rate,
        )


def load(path: Path | None, overrides: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a YAML file (None: the defaults) under the environment and `section.key=value` overrides.

    Raises ConfigError naming the key, its value and the nearest valid key or the allowed values.
    """
    held = _read(path) if path else {}
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
        return Overridden(**held) if over else Settings(**held)
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
        held = _yaml(path.read_text(), str(path))
    except OSError as error:
        raise ConfigError(
            expected="a readable configuration file",
            came=f"{path}: {error.strerror}",
            do="name it with --config",
        ) from error
    if not isinstance(held, dict | None):
        raise ConfigError(expected="`key: value` lines", came=f"{path}: {type(held).__name__}", do="see config.yaml")
    return held or {}


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(expected="valid YAML", came=f"{source}: {error}", do="correct that line") from error


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
                came=f"{name}={environ[name]!r} in the environment",
                do=f"did you mean {near}?",
            )


def _readable(error: ValidationError) -> ConfigError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, valid_keys(), n=1, cutoff=0)[0]
        return ConfigError(expected="a known setting", came=f"{key}: {problem['input']!r}", do=f"did you mean {near}?")
    return ConfigError(
        expected=f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}",
        came=f"{problem['input']!r}",
        do="correct it in config.yaml, the environment or --set; `driftline config schema` lists all",
    )
