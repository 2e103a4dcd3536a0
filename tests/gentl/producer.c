/* A GenTL producer (EMVA GenTL 1.5) with one camera, as small as harvesters allows: what a real .cti file does, without
 * a camera. Its frame is the content of the file GENTL_FRAME, told as GENTL_WIDTH x GENTL_HEIGHT pixels of the PFNC
 * number GENTL_FORMAT with GENTL_PADDING bytes after each line. Without GENTL_FRAME no frame ever comes; with
 * GENTL_INCOMPLETE every frame is told as incomplete; with GENTL_PARTS it comes as a multi-part payload of one part. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_IMPLEMENTED = -1003, INVALID_ID = -1007, TIMEOUT = -1011, NOT_AVAILABLE = -1014,
       INVALID_ADDRESS = -1015, BUFFER_TOO_SMALL = -1016 };
enum { STRING = 1, INT32 = 5, UINT32 = 6, UINT64 = 8, PTR = 10, BOOL8 = 11, SIZET = 12 };
enum { XML_AT = 0x10000, MOST_BUFFERS = 16, PAUSE_US = 2000 };

typedef struct { char *base; size_t size; void *user; int queued; } Buffer;

static char tl, interface, device, port, stream, event;      /* their addresses are the handles */
static Buffer buffers[MOST_BUFFERS];
static int announced, started, incomplete, parts;
static uint64_t format, frame_id;
static size_t width, height, padding, frame_size;
static char *frame, xml[4096], url[64];

static size_t number(const char *name) { const char *text = getenv(name); return text ? strtoull(text, NULL, 0) : 0; }

static void load(void)
{
    const char *path = getenv("GENTL_FRAME");
    FILE *file = path ? fopen(path, "rb") : NULL;
    free(frame);
    frame = NULL, frame_size = 16;
    width = number("GENTL_WIDTH"), height = number("GENTL_HEIGHT"), padding = number("GENTL_PADDING");
    format = number("GENTL_FORMAT"), incomplete = (int)number("GENTL_INCOMPLETE");
    parts = (int)number("GENTL_PARTS");
    if (file) {
        fseek(file, 0, SEEK_END), frame_size = ftell(file), rewind(file);
        frame = malloc(frame_size);
        if (fread(frame, 1, frame_size, file) != frame_size) abort();
        fclose(file);
    }
    snprintf(xml, sizeof xml,
        "<?xml version='1.0' encoding='utf-8'?><RegisterDescription ModelName='Ramp' VendorName='Driftline'"
        " StandardNameSpace='None' SchemaMajorVersion='1' SchemaMinorVersion='1' SchemaSubMinorVersion='0'"
        " MajorVersion='1' MinorVersion='0' SubMinorVersion='0' ToolTip='' ProductGuid='1' VersionGuid='1'"
        " xmlns='http://www.genicam.org/GenApi/Version_1_1' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
        " xsi:schemaLocation='http://www.genicam.org/GenApi/Version_1_1 GenApiSchema.xsd'>"
        "<Category Name='Root'><pFeature>Width</pFeature><pFeature>Height</pFeature><pFeature>PayloadSize</pFeature>"
        "<pFeature>PixelFormat</pFeature><pFeature>AcquisitionMode</pFeature><pFeature>AcquisitionStart</pFeature>"
        "<pFeature>AcquisitionStop</pFeature></Category>"
        "<Integer Name='Width'><Value>%zu</Value></Integer><Integer Name='Height'><Value>%zu</Value></Integer>"
        "<Integer Name='PayloadSize'><Value>%zu</Value></Integer>"
        "<Enumeration Name='PixelFormat'><EnumEntry Name='Mono8'><Value>%llu</Value></EnumEntry><Value>%llu</Value>"
        "</Enumeration><Enumeration Name='AcquisitionMode'><EnumEntry Name='Continuous'><Value>0</Value></EnumEntry>"
        "<Value>0</Value></Enumeration>"
        "<Command Name='AcquisitionStart'><pValue>Run</pValue><CommandValue>1</CommandValue></Command>"
        "<Command Name='AcquisitionStop'><pValue>Run</pValue><CommandValue>0</CommandValue></Command>"
        "<IntReg Name='Run'><Address>0</Address><Length>4</Length><AccessMode>RW</AccessMode><pPort>Device</pPort>"
        "<Cachable>NoCache</Cachable><Sign>Unsigned</Sign><Endianess>LittleEndian</Endianess></IntReg>"
        "<Port Name='Device'/></RegisterDescription>",
        width, height, frame_size, (unsigned long long)format, (unsigned long long)format);
    snprintf(url, sizeof url, "local:ramp.xml;%x;%zx", XML_AT, strlen(xml));
}

/* Every Get...Info function: the value's type, and the value where there is room for it. */
static int32_t give(const void *value, size_t size, int32_t is, int32_t *type, void *out, size_t *room)
{
    if (type) *type = is;
    if (out && *room < size) return BUFFER_TOO_SMALL;
    if (out) memcpy(out, value, size);
    *room = size;
    return SUCCESS;
}
static int32_t text(const char *value, int32_t *type, void *out, size_t *room)
{
    return give(value, strlen(value) + 1, STRING, type, out, room);
}
static int32_t whole(uint64_t value, int32_t is, int32_t *type, void *out, size_t *room)
{
    return give(&value, is == BOOL8 ? 1 : is == INT32 || is == UINT32 ? 4 : 8, is, type, out, room);
}

int32_t GCInitLib(void) { load(); return SUCCESS; }
int32_t GCCloseLib(void) { return SUCCESS; }
int32_t GCGetInfo(int32_t what, int32_t *type, void *out, size_t *room)
{
    return what >= 9 ? whole(what == 9 ? 1 : 5, UINT32, type, out, room) : text("ramp", type, out, room);
}
int32_t GCGetLastError(int32_t *code, char *out, size_t *room)
{
    *code = SUCCESS;
    return text("no more is known", NULL, out, room);
}

/* Ports: all modules share one, with the XML description and one register. */
int32_t GCReadPort(void *handle, uint64_t address, void *out, size_t *size)
{
    memset(out, 0, *size);
    if (address < XML_AT) return SUCCESS;
    if (address - XML_AT + *size > sizeof xml) return INVALID_ADDRESS;
    memcpy(out, xml + address - XML_AT, *size);
    return SUCCESS;
}
int32_t GCWritePort(void *handle, uint64_t address, const void *in, size_t *size) { return SUCCESS; }
int32_t GCGetNumPortURLs(void *handle, uint32_t *count) { *count = 1; return SUCCESS; }
int32_t GCGetPortURLInfo(void *handle, uint32_t index, int32_t what, int32_t *type, void *out, size_t *room)
{
    return what == 0 ? text(url, type, out, room) : NOT_AVAILABLE;
}
int32_t GCGetPortURL(void *handle, char *out, size_t *room) { return text(url, NULL, out, room); }
int32_t GCGetPortInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    if (what >= 5 && what <= 10) return whole(what == 5 || what == 7 || what == 8, BOOL8, type, out, room);
    return text(what == 4 ? "TLDevice" : "Device", type, out, room);
}

/* System, interface and device: one each. */
int32_t TLOpen(void **out) { *out = &tl; return SUCCESS; }
int32_t TLClose(void *handle) { return SUCCESS; }
int32_t TLGetInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    return what == 4 ? text("Custom", type, out, room) : GCGetInfo(what, type, out, room);
}
int32_t TLUpdateInterfaceList(void *handle, int8_t *changed, uint64_t timeout_ms)
{
    if (changed) *changed = 1;
    return SUCCESS;
}
int32_t TLGetNumInterfaces(void *handle, uint32_t *count) { *count = 1; return SUCCESS; }
int32_t TLGetInterfaceID(void *handle, uint32_t index, char *out, size_t *room)
{
    return index ? INVALID_ID : text("interface", NULL, out, room);
}
int32_t IFGetInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    return text(what == 2 ? "Custom" : "interface", type, out, room);
}
int32_t TLGetInterfaceInfo(void *handle, const char *id, int32_t what, int32_t *type, void *out, size_t *room)
{
    return IFGetInfo(handle, what, type, out, room);
}
int32_t TLOpenInterface(void *handle, const char *id, void **out) { *out = &interface; return SUCCESS; }
int32_t IFClose(void *handle) { return SUCCESS; }
int32_t IFUpdateDeviceList(void *handle, int8_t *changed, uint64_t timeout_ms)
{
    return TLUpdateInterfaceList(handle, changed, timeout_ms);
}
int32_t IFGetNumDevices(void *handle, uint32_t *count) { return TLGetNumInterfaces(handle, count); }
int32_t IFGetDeviceID(void *handle, uint32_t index, char *out, size_t *room)
{
    return index ? INVALID_ID : text("camera", NULL, out, room);
}
int32_t DevGetInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    if (what == 5) return whole(1, INT32, type, out, room);
    if (what == 9) return whole(1000000000, UINT64, type, out, room);
    return text(what == 3 ? "Custom" : what == 7 ? "S1" : "camera", type, out, room);
}
int32_t IFGetDeviceInfo(void *handle, const char *id, int32_t what, int32_t *type, void *out, size_t *room)
{
    return DevGetInfo(handle, what, type, out, room);
}
int32_t IFOpenDevice(void *handle, const char *id, int32_t access, void **out) { *out = &device; return SUCCESS; }
int32_t DevClose(void *handle) { return SUCCESS; }
int32_t DevGetPort(void *handle, void **out) { *out = &port; return SUCCESS; }

/* The data stream and its buffers. */
int32_t DevGetNumDataStreams(void *handle, uint32_t *count) { return TLGetNumInterfaces(handle, count); }
int32_t DevGetDataStreamID(void *handle, uint32_t index, char *out, size_t *room)
{
    return IFGetDeviceID(handle, index, out, room);
}
int32_t DevOpenDataStream(void *handle, const char *id, void **out)
{
    *out = &stream;
    announced = 0;
    return SUCCESS;
}
int32_t DSClose(void *handle) { return SUCCESS; }
int32_t DSGetInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    if (what == 0 || what == 10) return text(what ? "Custom" : "camera", type, out, room);
    if (what == 8 || what == 9) return whole(what == 8 && started, BOOL8, type, out, room);
    return whole(what == 7 ? frame_size : what == 12 ? 1 : 0, SIZET, type, out, room);
}
int32_t DSAnnounceBuffer(void *handle, void *base, size_t size, void *user, void **out)
{
    if (announced == MOST_BUFFERS) return NOT_AVAILABLE;
    buffers[announced] = (Buffer){base, size, user, 0};
    *out = &buffers[announced++];
    return SUCCESS;
}
int32_t DSQueueBuffer(void *handle, void *buffer) { ((Buffer *)buffer)->queued = 1; return SUCCESS; }
int32_t DSRevokeBuffer(void *handle, Buffer *buffer, void **base, void **user)
{
    if (base) *base = buffer->base;
    if (user) *user = buffer->user;
    return SUCCESS;
}
int32_t DSFlushQueue(void *handle, int32_t which)
{
    for (int i = 0; i < announced; i++) buffers[i].queued = 0;
    return SUCCESS;
}
int32_t DSStartAcquisition(void *handle, int32_t flags, uint64_t count) { started = 1; return SUCCESS; }
int32_t DSStopAcquisition(void *handle, int32_t flags) { started = announced = 0; return SUCCESS; }
int32_t DSGetBufferInfo(void *handle, Buffer *buffer, int32_t what, int32_t *type, void *out, size_t *room)
{
    switch (what) {
    case 0: return give(&buffer->base, sizeof(void *), PTR, type, out, room);
    case 1: return whole(buffer->size, SIZET, type, out, room);
    case 2: return give(&buffer->user, sizeof(void *), PTR, type, out, room);
    case 4: return whole(!buffer->queued, BOOL8, type, out, room);
    case 5: return whole(buffer->queued, BOOL8, type, out, room);
    case 7: return whole(incomplete, BOOL8, type, out, room);
    case 8: return text("Custom", type, out, room);
    case 9: case 27: return whole(frame_size, SIZET, type, out, room);
    case 10: return whole(width, SIZET, type, out, room);
    case 11: return whole(height, SIZET, type, out, room);
    case 14: return whole(padding, SIZET, type, out, room);
    case 16: return whole(frame_id, UINT64, type, out, room);
    case 19: return whole(parts ? 10 : 1, SIZET, type, out, room);
    case 20: return whole(format, UINT64, type, out, room);
    case 30: return whole(0, BOOL8, type, out, room);
    default: return NOT_AVAILABLE;
    }
}

int32_t DSGetNumBufferParts(void *handle, void *buffer, uint32_t *count) { *count = (uint32_t)parts; return SUCCESS; }
int32_t DSGetBufferPartInfo(void *handle, Buffer *buffer, uint32_t index, int32_t what, int32_t *type, void *out,
                            size_t *room)
{
    static const int32_t same[] = {0, 9, -1, 20, -1, 10, 11, -1, -1, 14}; /* as the whole buffer's information */
    if (what == 2) return whole(1, SIZET, type, out, room);
    return what < 10 && same[what] >= 0 ? DSGetBufferInfo(handle, buffer, same[what], type, out, room) : NOT_AVAILABLE;
}

/* Events: a new buffer is there whenever one is queued, a little later. */
int32_t GCRegisterEvent(void *handle, int32_t kind, void **out)
{
    *out = &event;
    return handle == &stream && kind == 1 ? SUCCESS : NOT_IMPLEMENTED;
}
int32_t GCUnregisterEvent(void *handle, int32_t kind) { return SUCCESS; }
int32_t EventGetInfo(void *handle, int32_t what, int32_t *type, void *out, size_t *room)
{
    return whole(what == 0 ? 1 : what == 3 ? 2 * sizeof(void *) : 0, what == 0 ? INT32 : SIZET, type, out, room);
}
int32_t EventGetData(void *handle, void *out, size_t *room, uint64_t timeout_ms)
{
    for (int i = 0; started && frame && i < announced; i++)
        if (buffers[i].queued) {
            void *news[2] = {&buffers[i], buffers[i].user};
            usleep(PAUSE_US);
            buffers[i].queued = 0, frame_id++;
            memcpy(buffers[i].base, frame, frame_size < buffers[i].size ? frame_size : buffers[i].size);
            return give(news, sizeof news, 0, NULL, out, room);
        }
    usleep(timeout_ms > 10 ? 10000 : timeout_ms * 1000);
    return TIMEOUT;
}
int32_t EventFlush(void *handle) { return SUCCESS; }
int32_t EventKill(void *handle) { return SUCCESS; }
