"""CUDA C of our own kernels, compiled on the machine it runs on (`device_kernels`); for compute capability 7.5 and up.

    hold       one thread; ends after a time, or once the global timer shows an instant, or when the session closes
    wait_word  one thread; ends once a word has reached a value: a gate where the driver has no stream waits
    stamp      one thread; writes the global timer into a word
    ticks      one thread; writes the next different values of the global timer into words
    compute    probe: chains of fused multiply-adds, nothing else
    copy       probe: copies within a footprint, past the L1 cache

A probe is a row of slots. Below full rate only some slots do work, each at the time at which full rate would come to
it, so that demand stays the same when a co-runner slows the probe down (as on the other runners).
"""

SOURCE = r"""
typedef unsigned int u32;
typedef unsigned long long u64;

static __device__ __forceinline__ u64 timer_ns() {
  u64 now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now) : : "memory");
  return now;
}

static __device__ __forceinline__ void rest(u32 ns) {
  asm volatile("nanosleep.u32 %0;" : : "r"(ns));
}

/* Sleeps last up to twice as long as asked for, so the last stretch is spun. Host memory is read far from the end only:
   a read across the bus takes about as long as the precision that we want. */
static __device__ void hold_until(u64 end_ns, const volatile u64* ended) {
  for (;;) {
    u64 now = timer_ns();
    if (now >= end_ns) return;
    if (end_ns - now > 30000) {
      if (ended && *ended) return;
      rest(10000);
    }
  }
}

extern "C" __global__ void hold(u64 length_ns, u64 until_ns, const volatile u64* ended) {
  hold_until(until_ns ? until_ns : timer_ns() + length_ns, ended);
}

extern "C" __global__ void wait_word(const volatile u32* word, u32 value, const volatile u64* ended) {
  while ((int)(*word - value) < 0 && !*ended) rest(200);
}

extern "C" __global__ void stamp(volatile u64* word) {
  *word = timer_ns();
  __threadfence_system();
}

extern "C" __global__ void ticks(volatile u64* words, u32 count) {
  u64 last = timer_ns();
  for (u32 index = 0; index < count; ++index) {
    u64 now = last;
    while (now == last) now = timer_ns();
    words[index] = last = now;
  }
}

/* Whether a slot does work: the active ones are spread evenly over the row. */
static __device__ __forceinline__ bool is_active(u32 slot, u32 intensity_pct) {
  return (slot + 1) * intensity_pct / 100 > slot * intensity_pct / 100;
}

static __device__ __forceinline__ void pace(u64 begin_ns, u64 slot, u64 slot_ns) {
  if (threadIdx.x == 0) hold_until(begin_ns + slot * slot_ns, 0);
  __syncthreads();
}

extern "C" __global__ void compute(u32 slots, u32 intensity_pct, u64 slot_ns, u32 steps, float* never) {
  bool paced = intensity_pct < 100;
  u64 begin_ns = timer_ns();
  float a[8];
  for (int i = 0; i < 8; ++i) a[i] = 1.0f + 0.001f * (threadIdx.x + i);
  for (u32 slot = 0; slot < slots; ++slot) {
    if (!is_active(slot, intensity_pct)) continue;
    if (paced) pace(begin_ns, slot, slot_ns);
    #pragma unroll 4
    for (u32 step = 0; step < steps; ++step) {
      #pragma unroll
      for (int i = 0; i < 8; ++i) a[i] = fmaf(a[i], 0.9999f, 0.0001f);
    }
  }
  if (paced) pace(begin_ns, slots, slot_ns);
  float sum = 0.0f;
  for (int i = 0; i < 8; ++i) sum += a[i];
  if (sum < 0.0f) *never = sum;  /* never so; keeps the chains alive */
}

/* Each block copies its own pieces of `steps` rows of 16 bytes a thread, going round the first half of the buffer. */
extern "C" __global__ void copy(u32 slots, u32 intensity_pct, u64 slot_ns, u32 steps, uint4* buffer,
                                u64 footprint_bytes) {
  bool paced = intensity_pct < 100;
  u64 begin_ns = timer_ns();
  u64 half = footprint_bytes / 32;
  u64 piece = (u64)steps * blockDim.x;
  u64 pieces = half / piece;
  u64 index = blockIdx.x % pieces;
  for (u32 slot = 0; slot < slots; ++slot) {
    if (!is_active(slot, intensity_pct)) continue;
    if (paced) pace(begin_ns, slot, slot_ns);
    const uint4* source = buffer + index * piece + threadIdx.x;
    uint4* target = buffer + half + index * piece + threadIdx.x;
    #pragma unroll 4
    for (u32 step = 0; step < steps; ++step) __stcg(target + step * blockDim.x, __ldcg(source + step * blockDim.x));
    index = (index + gridDim.x) % pieces;
  }
  if (paced) pace(begin_ns, slots, slot_ns);
}
"""
