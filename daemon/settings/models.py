"""The settings of one line, section by section; config.yaml explains every key."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from daemon.languages.speaking import known
from memory.detector import PATCH_BANK
from policies.overload import Overload

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of the settings: no unknown key, no change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtractorSettings(Section):
    """The backbone."""

    model: str = Field("driftline-tiny", description="driftline-tiny, or any timm model with features_only support")
    layers: tuple[int, ...] = Field((2, 3), min_length=1, description="its feature layers, finest first")
    weights: str = Field("shipped", description="shipped, installed, hub, a path, or untrained (random)")
    normalize: bool = Field(True, description="apply the model's mean and deviation; off if folded in")
    input_px: int = Field(256, ge=32, le=2048, description="images are resized to this square")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, ...")
    backend: Literal["auto", "torch", "openvino", "openvino-bf16", "openvino-int8", "onnx"] = Field(
        "auto",
        description="what computes it; auto: the quickest here. Others than torch judge if they agree with it",
    )
    threads: int = Field(2, ge=1, description="CPU threads for backbone and search")
    scorer: Path | None = Field(None, description="exported model (.onnx, .xml), judged by memory.detector: exported")


class SceneSettings(Section):
    """How finely images are judged; a version keeps what it was taught with."""

    scale: float | None = Field(
        None, gt=0, le=4, description="pixels judged for one of the image; null: by smallest_defect_px"
    )
    smallest_defect_px: float | None = Field(
        None,
        gt=0,
        description="side of the smallest defect to find, in pixels of the image; null: about input_px a side",
    )
    align: bool = Field(False, description="place parts shifted by up to 10 % or turned by up to 15° before scoring")

    @model_validator(mode="after")
    def _one_of_two(self) -> SceneSettings:
        if self.scale is not None and self.smallest_defect_px is not None:
            raise ValueError("set scale or smallest_defect_px, not both: each says how finely images are judged")
        return self

    def for_defects(self, smallest_px: float | None) -> SceneSettings:
        """As finely as the smallest defect to find asks for, whatever `scale` is; these settings where it is None."""
        update = {"scale": None, "smallest_defect_px": smallest_px}
        return self if smallest_px is None else self.model_copy(update=update)


class MemorySettings(Section):
    """The bank and what proves it."""

    detector: str = Field(PATCH_BANK, description="kind of detector that `teach` makes")
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
    known_part_every: int = Field(20, ge=0, description="one known part among so many questions; 0: none")
    lesson_after: int = Field(10, ge=1, description="a lesson starts after this many new confirmations")
    shadow_frames: int = Field(0, ge=0, description="frames a proposal scores beside the head before it may judge")
    deadline_ms: int | None = Field(
        None, ge=1, description="a frame that cannot be judged within it is answered UNKNOWN; null: none"
    )
    overload: Overload = Field(Overload.DEADLINE, description="which frames are not judged when they come too fast")

    @model_validator(mode="after")
    def _sample_by_a_deadline(self) -> PolicySettings:
        if self.overload is Overload.SAMPLE and self.deadline_ms is None:
            raise ValueError("overload: sample needs deadline_ms, of which what waits may fill a quarter")
        return self


class SourceSettings(Section):
    """Where frames come from."""

    kind: Literal["redis", "folder", "camera", "genicam"] = Field(
        "redis", description="a Redis Stream, a watched folder, or a camera by its address or GenICam"
    )
    folder: Path = Field(Path("inbox"), description="the watched folder, for kind: folder")
    settle_ms: int = Field(300, ge=0, description="a file must be this old and unchanged before it is read")
    camera: str | None = Field(None, description="RTSP or HTTP address, number of a USB camera, or GenICam serial")
    producer: Path | None = Field(None, description="the .cti file of the camera's maker, for kind: genicam")
    every_ms: int = Field(1000, ge=1, description="a camera's newest image is judged once in this time")
    allowed_roots: tuple[Path, ...] = Field((), description="folders a frame message may refer to by path")
    max_bytes: int = Field(64_000_000, ge=1, description="larger image files are refused unread")
    max_pixels: int = Field(100_000_000, ge=1, description="images with more pixels are refused undecoded")
    bits: Literal[8, 10, 12, 14, 16] | None = Field(
        None, description="the camera's depth where its 16-bit files do not state it; null: found by teach"
    )
    page: int | None = Field(None, ge=0, description="which page of a TIFF is judged, from 0; null: its only one")
    depth_page: int | None = Field(
        None, ge=0, description="which page of the same TIFF holds heights, one for each pixel; null: none"
    )

    @field_validator("camera", mode="before")
    @classmethod
    def _usb(cls, camera: object) -> object:
        return str(camera) if isinstance(camera, int) and not isinstance(camera, bool) else camera

    @field_validator("bits", mode="before")
    @classmethod
    def _number(cls, bits: object) -> object:
        # The environment gives text, which a Literal of numbers would refuse.
        return int(bits) if isinstance(bits, str) and bits.isdecimal() else bits

    @model_validator(mode="after")
    def _two_pages(self) -> SourceSettings:
        if self.depth_page is not None and self.page in {None, self.depth_page}:
            raise ValueError("depth_page needs page: which other page of the TIFF holds the colours")
        if self.depth_page is not None and self.kind in {"camera", "genicam"}:
            raise ValueError("depth_page needs kind redis or folder: depth comes in TIFF files, which no camera sends")
        return self


class RedisSettings(Section):
    """The wire."""

    url: str = Field("redis://127.0.0.1:6379/0", description="or memory:// (in-process, lost at exit)")
    prefix: str = Field("driftline", pattern=r"^[A-Za-z0-9_.-]+$", description="first part of stream names")
    keep_entries: int = Field(10_000, ge=1, description="newest entries kept in a stream without consumer groups")


class RetentionSettings(Section):
    """What stays on disk."""

    ring_frames: int = Field(2_000, ge=0, description="newest passed frames kept")
    flagged_days: float = Field(90, gt=0, description="flagged and audited frames without answer kept, at least")
    flagged_frames: int = Field(20_000, ge=0, description="newest of these kept at most")
    ledger_days: float = Field(365, gt=0, description="rows of the ledger kept; answered frames stay for ever")
    frames_gb: float = Field(20, gt=0, description="room for kept frames; passed ones leave first")
    ledger_gb: float = Field(5, gt=0, description="room for the ledger; its oldest rows leave first")


class ScheduleSettings(Section):
    """How often the background jobs run, in seconds."""

    admission_s: float = Field(60, gt=0, description="look whether a lesson is due")
    recalibration_s: float = Field(86_400, gt=0, description="learn from whatever was confirmed")
    retraining_s: float = Field(3600, gt=0, description="train again what cannot learn part by part")
    snapshot_s: float = Field(5, gt=0, description="publish the status, notice versions made elsewhere")
    retention_s: float = Field(600, gt=0, description="delete what retention no longer keeps, trim streams")
    inspection_s: float = Field(3600, gt=0, description="judge a part with a drawn defect, which must be caught")
    misfire_grace_s: int = Field(300, ge=1, description="a job this late still runs; later is logged as missed")

    @property
    def fresh_s(self) -> float:
        """A service that said nothing for longer than three snapshots take is not running."""
        return 3 * self.snapshot_s


class ReportSettings(Section):
    """Reports of every shift."""

    folder: Path | None = Field(None, description="where a report of each shift is written; null: nowhere")
    hours: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field(
        (6, 14, 22), min_length=1, description="hours of this PC's clock at which a shift begins"
    )
    language: Annotated[str, AfterValidator(known)] = Field("en", description="of these reports")
    webhook: bool = Field(False, description="post the figures of each shift to webhook.url")


class ConsoleSettings(Section):
    """What serves people and other programs over HTTP."""

    host: str = Field("127.0.0.1", description="address to listen on; beyond this PC only with tokens or proxies")
    port: int = Field(8090, ge=1, le=65535, description="port to listen on")
    prefix: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path below which a proxy serves it")
    tokens: Path | None = Field(None, description="file of `driftline token`; null: nobody needs one")
    proxies: tuple[str, ...] = Field((), description="addresses whose X-Forwarded-User and -Role are believed")


class TelemetrySettings(Section):
    """Where traces go."""

    endpoint: str | None = Field(None, pattern=r"^https?://.*[^/]$", description="OTLP collector over HTTP; null: none")


class ConnectorSettings(Section):
    """A way to one of the plant's systems: `enabled` once the key `enabled_by` says where that is."""

    enabled_by: ClassVar[str]

    @property
    def enabled(self) -> bool:
        """Whether it is served."""
        return getattr(self, self.enabled_by) is not None


class MqttSettings(ConnectorSettings):
    """Verdicts to an MQTT broker, and frames from it."""

    enabled_by = "host"

    host: str | None = Field(None, description="the broker; null: no MQTT")
    port: Port = Field(1883, description="the broker's port; 8883 is usual with tls")
    tls: bool = Field(False, description="talk TLS, and check the broker by this PC's certificates")
    username: str | None = Field(None, description="who we are to the broker; null: nobody")
    password: SecretStr | None = Field(None, description="better in DRIFTLINE_MQTT__PASSWORD than in a file")
    prefix: str = Field("driftline", pattern=r"^[^#+/]+$", description="first part of topics")


class WebhookSettings(ConnectorSettings):
    """Verdicts posted to a URL."""

    enabled_by = "url"

    url: str | None = Field(None, pattern=r"^https?://", description="who is told; null: nobody")
    secret: SecretStr | None = Field(None, description="signs what is posted: base64, with whsec_ before it or not")

    @field_validator("secret")
    @classmethod
    def _base64(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True):
            raise ValueError("expected base64 of at least one byte")
        return secret


class ModbusSettings(ConnectorSettings):
    """The newest verdict for a PLC that reads registers."""

    enabled_by = "port"

    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104  # a PLC is another computer
    port: Port | None = Field(None, description="port to listen on, 502 is usual; null: no Modbus")


class OpcUaSettings(ConnectorSettings):
    """The states of OPC 40100-1 and the newest result."""

    enabled_by = "port"

    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104  # clients are other computers
    port: Port | None = Field(None, description="port to listen on, 4840 is usual; null: no OPC UA")
