/* A stand-in for libcuda.so.1 and libnvrtc: it shows that our calls go through the real Python bindings with the arguments
 * that the driver would need. What is queued happens at once, in the machine's time: a hold sleeps, a stamp reads the
 * clock. Whatever a real driver would refuse ends the process with a message. It is no model of a GPU: model_gpu.py is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long long u64;
typedef unsigned int u32;
typedef u64 DevicePtr;

static void refuse(const char *call, const char *what) {
  fprintf(stderr, "%s: refused: %s\n", call, what);
  exit(70);
}
#define NEED(what) ((what) ? (void)0 : refuse(__func__, #what))

struct stream { u32 magic; int priority; int green; int capturing; struct graph *graph; };
struct event { u32 magic; u64 at_ns; };
struct function { u32 magic; char name[16]; };
struct launch { struct function *function; u64 arguments[6]; u32 blocks, threads, shared; };
struct graph { u32 magic; int count; int uploaded; struct launch launches[64]; };
enum { STREAM = 0x51, EVENT = 0x52, FUNCTION = 0x53, GRAPH = 0x54, SMS = 16, GROUP = 2 };

static int current = 0, device_memory = 0, left = 0, streams_made = 0; /* left = streams, events and graphs that live */
int stub_left(void) { return left; }
static void *const context = &current;

static u64 now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void sleep_until(u64 end_ns) {
  struct timespec t = {end_ns / 1000000000ull, end_ns % 1000000000ull};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
}

static struct stream *stream_of(void *handle) {
  struct stream *stream = handle;
  NEED(stream && stream->magic == STREAM);
  return stream;
}

static void execute(const struct launch *launch) {
  const u64 *a = launch->arguments;
  const char *name = launch->function->name;
  NEED(launch->blocks > 0 && launch->threads > 0 && launch->threads <= 1024);
  if (!strcmp(name, "hold")) {
    NEED((a[0] == 0) != (a[1] == 0) || a[0] == 0);
    NEED(a[0] < 1000000000000000ull);
    if (a[2] && *(u64 *)a[2]) return;
    sleep_until(a[1] ? a[1] : now_ns() + a[0]);
  } else if (!strcmp(name, "stamp")) {
    *(u64 *)a[0] = now_ns();
  } else if (!strcmp(name, "ticks")) {
    for (u32 i = 0; i < (u32)a[1]; ++i) ((u64 *)a[0])[i] = now_ns() + 32 * i;
  } else if (!strcmp(name, "compute")) {
    NEED((u32)a[0] > 0 && (u32)a[1] <= 100 && (u32)a[3] > 0 && a[4] != 0 && launch->shared <= 99 * 1024);
    sleep_until(now_ns() + 1000000);
  } else if (!strcmp(name, "copy")) {
    NEED((u32)a[0] > 0 && (u32)a[1] <= 100 && (u32)a[3] > 0 && a[4] != 0 && a[5] % 32 == 0 && a[5] > 0);
    ((volatile char *)a[4])[a[5] - 1] = 1;
    sleep_until(now_ns() + 1000000);
  } else {
    NEED(!"a kernel that is known");
  }
}

int cuInit(u32 flags) {
  const char *blocking = getenv("CUDA_LAUNCH_BLOCKING");
  return NEED(!blocking || !strcmp(blocking, "0")), flags ? 1 : 0;
}
int cuDriverGetVersion(int *version) { return *version = 13000, 0; }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int ordinal) { return ordinal ? 101 : (*device = 0, 0); }
int cuDevicePrimaryCtxRetain(void **made, int device) { return NEED(device == 0), *made = context, 0; }
int cuCtxSetCurrent(void *wanted) { return NEED(wanted == context), current = 1, 0; }
int cuCtxGetCurrent(void **found) { return *found = current ? context : 0, 0; }
int cuCtxGetDevice(int *device) { return *device = 0, 0; }
int cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, 0; }
int cuMemGetInfo(size_t *free, size_t *total) { return *free = 3ull << 30, *total = 8ull << 30, 0; }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  NEED(device == 0);
  switch (attribute) {
    case 75: case 76: *value = attribute == 75 ? 9 : 0; return 0;  /* compute capability */
    case 97: *value = 99 * 1024; return 0;                           /* shared memory a block, opt in */
    case 133: *value = getenv("STUB_MPS") != 0; return 0;            /* MPS enabled */
    case 16: *value = SMS; return 0;
    default: NEED(!"an attribute that is known"); return 1;
  }
}

static int stream_new(void **made, u32 flags, int priority, int green) {
  NEED(current && flags == 1);
  const char *limit = getenv("STUB_STREAMS");
  if (limit && ++streams_made > atoi(limit)) return 2;
  ++left;
  struct stream *stream = calloc(1, sizeof *stream);
  *stream = (struct stream){STREAM, priority < -5 ? -5 : priority > 0 ? 0 : priority, green, 0, 0};
  return *made = stream, 0;
}
int cuStreamCreateWithPriority(void **made, u32 flags, int priority) { return stream_new(made, flags, priority, 0); }
int cuStreamGetPriority(void *stream, int *priority) { return *priority = stream_of(stream)->priority, 0; }
int cuStreamSynchronize(void *stream) { return stream_of(stream)->capturing ? 900 : 0; }
int cuStreamIsCapturing(void *stream, int *status) { return *status = stream_of(stream)->capturing, 0; }
int cuStreamGetGreenCtx(void *stream, void **green) { return *green = (void *)(u64)stream_of(stream)->green, 0; }
int cuStreamDestroy(void *stream) { --left, stream_of(stream)->magic = 0; free(stream); return 0; }
int cuStreamWaitValue32(void *stream, DevicePtr address, u32 value, u32 flags) {
  NEED(stream_of(stream) && address % 4 == 0 && value > 0 && flags == 0);
  return getenv("STUB_NO_WAIT") ? 801 : (*(volatile u32 *)address, 0);
}

int cuEventCreate(void **made, u32 flags) {
  NEED(flags == 0);
  struct event *event = calloc(1, sizeof *event);
  event->magic = EVENT;
  ++left;
  return *made = event, 0;
}
int cuEventDestroy(struct event *event) { return NEED(event->magic == EVENT), event->magic = 0, free(event), --left, 0; }
int cuEventRecord(struct event *event, void *stream) {
  NEED(event->magic == EVENT && stream_of(stream)->magic == STREAM);
  return event->at_ns = now_ns(), 0;
}
int cuEventQuery(struct event *event) { return NEED(event->magic == EVENT), 0; }
int cuEventElapsedTime(float *ms, struct event *first, struct event *second) {
  NEED(first->magic == EVENT && second->magic == EVENT && first->at_ns && second->at_ns);
  return *ms = (float)(((double)second->at_ns - (double)first->at_ns) / 1e6), 0;
}
/* from CUDA 12.8 on the bindings ask for a later version of it */
int cuEventElapsedTime_v2(float *ms, struct event *a, struct event *b) { return cuEventElapsedTime(ms, a, b); }

int cuStreamBeginCapture(void *handle, int mode) {
  struct stream *stream = stream_of(handle);
  NEED(mode == 1 && !stream->capturing);
  stream->capturing = 1;
  stream->graph = calloc(1, sizeof *stream->graph);
  return stream->graph->magic = GRAPH, 0;
}
int cuStreamEndCapture(void *handle, struct graph **graph) {
  struct stream *stream = stream_of(handle);
  NEED(stream->capturing);
  stream->capturing = 0;
  return *graph = stream->graph, 0;
}
int cuGraphInstantiateWithFlags(struct graph **made, struct graph *graph, u64 flags) {
  NEED(graph->magic == GRAPH && flags == 0);
  *made = malloc(sizeof *graph);
  ++left;
  return memcpy(*made, graph, sizeof *graph), 0;
}
int cuGraphDestroy(struct graph *graph) { return NEED(graph->magic == GRAPH), graph->magic = 0, free(graph), 0; }
int cuGraphUpload(struct graph *graph, void *stream) {
  NEED(graph->magic == GRAPH && stream_of(stream));
  return getenv("STUB_NO_UPLOAD") ? 2 : (graph->uploaded = 1, 0);
}
int cuGraphLaunch(struct graph *graph, void *stream) {
  NEED(graph->magic == GRAPH && graph->uploaded && !stream_of(stream)->capturing);
  for (int i = 0; i < graph->count; ++i) execute(&graph->launches[i]);
  return 0;
}
int cuGraphExecDestroy(struct graph *graph) {
  return NEED(graph->magic == GRAPH), graph->magic = 0, free(graph), --left, 0;
}

int cuMemHostAlloc(void **made, size_t bytes, u32 flags) {
  NEED(bytes > 0 && (flags == 0 || flags == 3));
  return *made = aligned_alloc(64, (bytes + 63) / 64 * 64), 0;
}
int cuMemHostGetDevicePointer(DevicePtr *made, void *host, u32 flags) { return NEED(flags == 0), *made = (u64)host, 0; }
int cuMemFreeHost(void *host) { return free(host), 0; }
int cuMemAlloc(DevicePtr *made, size_t bytes) {
  NEED(current && bytes > 0);
  ++device_memory;
  return *made = (u64)aligned_alloc(64, (bytes + 63) / 64 * 64), 0;
}
int cuMemFree(DevicePtr memory) { return --device_memory, free((void *)memory), 0; }
int cuMemsetD32Async(DevicePtr to, u32 value, size_t count, void *stream) {
  NEED(stream_of(stream) && to % 4 == 0);
  for (size_t i = 0; i < count; ++i) ((u32 *)to)[i] = value;
  return 0;
}
int cuMemcpyHtoDAsync(DevicePtr to, const void *from, size_t bytes, void *stream) {
  return NEED(stream_of(stream)), memcpy((void *)to, from, bytes), 0;
}
int cuMemcpyDtoHAsync(void *to, DevicePtr from, size_t bytes, void *stream) {
  return NEED(stream_of(stream)), memcpy(to, (void *)from, bytes), 0;
}

int cuModuleLoadData(void **module, const char *image) { return NEED(!strncmp(image, "stub", 4)), *module = context, 0; }
int cuModuleGetFunction(struct function **made, void *module, const char *name) {
  NEED(module == context && strlen(name) < 16);
  *made = calloc(1, sizeof **made);
  (*made)->magic = FUNCTION;
  return strcpy((*made)->name, name), 0;
}
int cuFuncSetAttribute(struct function *function, int attribute, int value) {
  return NEED(function->magic == FUNCTION && attribute == 8 && value == 99 * 1024), 0;
}
int cuLaunchKernel(struct function *function, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void *handle,
                   void **parameters, void **extra) {
  static const struct { const char *name; int sizes[7]; } known[] = {
      {"hold", {8, 8, 8}}, {"wait_word", {8, 4, 8}}, {"stamp", {8}}, {"ticks", {8, 4}},
      {"compute", {4, 4, 8, 4, 8}}, {"copy", {4, 4, 8, 4, 8, 8}}};
  struct stream *stream = stream_of(handle);
  struct launch launch = {function, {0}, gx, bx, shared};
  NEED(function->magic == FUNCTION && gy * gz * by * bz == 1 && extra == 0);
  for (size_t k = 0; k < sizeof known / sizeof *known; ++k)
    if (!strcmp(known[k].name, function->name))
      for (int i = 0; known[k].sizes[i]; ++i) memcpy(&launch.arguments[i], parameters[i], known[k].sizes[i]);
  if (!strcmp(function->name, "wait_word")) return NEED(launch.arguments[0] && launch.arguments[2]), 0;
  if (!stream->capturing) return execute(&launch), 0;
  NEED(stream->graph->count < 64);
  return stream->graph->launches[stream->graph->count++] = launch, 0;
}

/* CUdevResource of cuda.h: type, padding to 96 bytes, then the union whose first word is the SM count; 144 bytes. */
struct resource { int type; char padding[92]; u32 sm_count; char rest[44]; };  /* rest[40] = number of a group */
struct description { u32 groups, sm_count; };
int cuDeviceGetDevResource(int device, struct resource *made, int type) {
  NEED(device == 0 && type == 1);
  memset(made, 0, sizeof *made);
  return made->type = 1, made->sm_count = SMS, 0;
}
int cuDevSmResourceSplitByCount(struct resource *made, u32 *count, const struct resource *whole, struct resource *rest,
                                u32 flags, u32 least) {
  NEED(whole->type == 1 && whole->sm_count == SMS && flags == 0 && least <= GROUP && *count >= SMS / GROUP);
  *count = SMS / GROUP;
  for (u32 i = 0; i < *count; ++i) made[i] = *whole, made[i].sm_count = GROUP, made[i].rest[40] = i;
  if (rest) memset(rest, 0, sizeof *rest);
  return 0;
}
int cuDevResourceGenerateDesc(struct description **made, const struct resource *parts, u32 count) {
  NEED(count > 0);
  *made = calloc(1, sizeof **made);
  for (u32 i = 0; i < count; ++i) {
    NEED(parts[i].type == 1);
    (*made)->sm_count += parts[i].sm_count;
    (*made)->groups |= 1u << parts[i].rest[40];
  }
  return 0;
}
int cuGreenCtxCreate(u64 *made, struct description *description, int device, u32 flags) {
  static int number = 0;
  static u32 taken = 0;
  NEED(device == 0 && flags == 1 && !(taken & description->groups));
  taken |= description->groups;
  return *made = ++number * 1000 + description->sm_count, 0;
}
int cuGreenCtxGetDevResource(u64 green, struct resource *made, int type) {
  cuDeviceGetDevResource(0, made, type);
  return made->sm_count = green % 1000, 0;
}
int cuGreenCtxStreamCreate(void **made, u64 green, u32 flags, int priority) {
  return stream_new(made, flags, priority, (int)green);
}
int cuGreenCtxDestroy(u64 green) { return green ? 0 : 1; }

int cuGetErrorName(int error, const char **text) { return *text = "CUDA_ERROR", 0; }
int cuGetProcAddress_v2(const char *symbol, void **found, int version, u64 flags, void *status) {
  char later[96];
  *found = dlsym(RTLD_DEFAULT, symbol);
  if (!*found) {
    void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *found = self ? dlsym(self, symbol) : 0;
  }
  (void)later, (void)version, (void)flags;
  if (status) *(int *)status = *found ? 0 : 1;
  return *found ? 0 : 500;
}
int cuGetProcAddress(const char *symbol, void **found, int version, u64 flags) {
  return cuGetProcAddress_v2(symbol, found, version, flags, 0);
}

int nvrtcGetNumSupportedArchs(int *count) { return *count = 2, 0; }
int nvrtcGetSupportedArchs(int *archs) { return archs[0] = 75, archs[1] = 90, 0; }
int nvrtcCreateProgram(void **made, const char *source, const char *name, int count, void *headers, void *names) {
  NEED(strstr(source, "globaltimer") && name && count == 0);
  return *made = (void *)source, (void)headers, (void)names, 0;
}
int nvrtcCompileProgram(void *program, int count, const char *const *options) {
  return NEED(program && count == 1 && !strcmp(options[0], "--gpu-architecture=sm_90")), 0;
}
int nvrtcGetCUBINSize(void *program, size_t *bytes) { return (void)program, *bytes = 8, 0; }
int nvrtcGetCUBIN(void *program, char *code) { return (void)program, memcpy(code, "stub....", 8), 0; }
int nvrtcDestroyProgram(void **program) { return *program = 0, 0; }
