"""The HTTP API of what was learned: versions, the threshold, and a new version from good parts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from daemon.console.access import Engineer, Viewer
from daemon.console.api import IMAGE
from daemon.console.services import Injected, Services
from daemon.console.uploads import MOST_IMAGES
from daemon.intake.decode import ImageRejected
from memory.region import Region

Number = Annotated[int, Path(ge=1, le=2**53)]
Name = Annotated[str, Query(min_length=1, max_length=300)]
Batch = Annotated[str, Query(max_length=64)]
router = APIRouter(prefix="/api", tags=["versions"])


class Rate(BaseModel):
    """The false-reject rate to judge at from now on."""

    model_config = ConfigDict(extra="forbid")

    rate: float = Field(gt=0, lt=1)


class Tried(BaseModel):
    """The images that were sent, by the batch that `/api/setup/begin` has named, how finely to judge them, and which to
    leave out."""

    model_config = ConfigDict(extra="forbid")

    batch: str = Field(max_length=64)
    smallest_defect_px: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="side of the smallest defect to find, in pixels of the image; null: as the settings say",
    )
    without: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        default_factory=list, max_length=1000, description="names of images that turned out to be no good parts"
    )


class Sent(Tried):
    """Such images, the region to judge them in, and the detector to teach."""

    region: dict[str, Any] | None = Field(
        None,
        description="polygons of points [x, y], in shares of the image: `include` to judge in, `ignore` to leave out; "
        "empty for the whole image, null for the region of the version before",
    )
    detector: str | None = Field(None, max_length=100, description="kind of detector; null: as the settings say")


class Coming(BaseModel):
    """How many known defects will be sent."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=0, le=MOST_IMAGES)


class Checked(BaseModel):
    """The draft that was looked at, by its id in `/api/work`."""

    model_config = ConfigDict(extra="forbid")

    draft: str = Field(max_length=64)
    meant: bool = Field(False, description="although it misses too many of the known defects")


@router.get("/versions")
def versions(services: Injected, _: Viewer) -> list[dict[str, Any]]:
    """All versions, newest first."""
    return services.history.listed()


@router.get("/versions/{number}")
def version(services: Injected, _: Viewer, number: Number) -> dict[str, Any]:
    """One version's whole manifest."""
    return services.history.manifest(number)


@router.post("/versions/{number}/rollback", status_code=201)
def rollback(services: Injected, caller: Engineer, number: Number) -> dict[str, Any]:
    """A new version with this one's contents and today's confirmed defects."""
    return services.history.rollback(number, caller.name)


@router.post("/versions/{number}/compare", status_code=202)
def compare(services: Injected, caller: Engineer, number: Number) -> dict[str, Any]:
    """Begin to judge the newest kept frames again by the version that judges and by this one; see `/api/work`."""
    services.history.compare(number, caller.name)
    return _work(services)


@router.get("/work")
def work(services: Injected, _: Viewer) -> dict[str, Any]:
    """What the console works at or did last, and the version that was taught and does not judge yet."""
    return _work(services)


@router.get("/threshold")
def threshold(services: Injected, _: Viewer) -> dict[str, Any]:
    """The threshold, the scores behind it, and what every other threshold would mean."""
    return services.history.outlook()


@router.post("/threshold", status_code=201)
def judge_at(services: Injected, caller: Engineer, wanted: Rate) -> dict[str, Any]:
    """A version that judges at this false-reject rate; refused where it would miss a confirmed defect."""
    return services.history.judge_at(wanted.rate, caller.name)


@router.post("/setup/begin")
def begin(services: Injected, _: Engineer) -> dict[str, str]:
    """Begin to send images to be taught: the batch that they belong to."""
    return {"batch": services.drafts.uploads.begin()}


@router.put("/setup/images", status_code=201, openapi_extra=IMAGE)
async def add(services: Injected, request: Request, _: Engineer, batch: Batch, name: Name) -> dict[str, str]:
    """Send one image of a good part, in the body."""
    path = await services.decoding(services.drafts.uploads.add, batch, name, await request.body())
    return {"kept": path.name}


@router.post("/setup/teach", status_code=202)
def teach(services: Injected, caller: Engineer, sent: Sent) -> dict[str, Any]:
    """Begin to make a version of the images that were sent; it does not judge yet. See `/api/work`."""
    region = None if sent.region is None else Region.of(sent.region)
    ways = (sent.smallest_defect_px, sent.without, sent.detector)
    services.drafts.teach(sent.batch, region, *ways, caller.name, services.checks.again)
    return _work(services)


@router.post("/setup/advise", status_code=202)
def advise(services: Injected, caller: Engineer, tried: Tried) -> dict[str, Any]:
    """Begin to try each kind of detector on the images that were sent; what was found is in `/api/work`."""
    services.drafts.advise(tried.batch, tried.smallest_defect_px, tried.without, caller.name)
    return _work(services)


@router.get("/setup/part")
async def part(services: Injected, _: Engineer, batch: Batch) -> dict[str, int]:
    """The true size of the image that `/setup/part.jpg` shows smaller."""
    height_px, width_px = await services.decoding(services.drafts.picture_px, batch)
    return {"height_px": height_px, "width_px": width_px}


@router.post("/setup/known", status_code=201)
def known(services: Injected, _: Engineer, coming: Coming) -> dict[str, str]:
    """Begin to send known defects: the batch that they belong to. Those that were sent before are forgotten."""
    return {"batch": services.checks.begin(coming.count)}


@router.post("/setup/check", openapi_extra=IMAGE)
async def check(services: Injected, request: Request, _: Engineer, batch: Batch, name: Name) -> dict[str, Any]:
    """What the version that was taught and does not judge yet says of the known defect in the body, and of all of them
    so far."""
    data = await request.body()
    try:
        await services.decoding(services.checks.add, batch, name, data)
        return await services.scoring(services.drafts.decode, services.checks.check, data)
    except ImageRejected:
        services.checks.unread(batch)
        raise


@router.post("/setup/remedies", status_code=202)
def remedies(services: Injected, caller: Engineer) -> dict[str, Any]:
    """Begin to try on the known defects what would find more of them; what was found is in `/api/work`."""
    services.checks.remedies(caller.name)
    return _work(services)


@router.post("/setup/live", status_code=201)
def live(services: Injected, caller: Engineer, checked: Checked) -> dict[str, Any]:
    """Judge by the version that was taught, from now on."""
    return services.drafts.go_live(checked.draft, caller.name, services.checks.record(meant=checked.meant))


def _work(services: Services) -> dict[str, Any]:
    """The work under way or last done, the draft if there is one, and the version that judges."""
    newest, head = services.jobs.newest, services.line.head()
    return {
        "work": newest.told() if newest else None,
        "draft": services.drafts.summary(),
        "check": services.checks.summary(),
        "head": head.number if head else None,
    }
