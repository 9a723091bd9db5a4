// Runs CUDA kernels on the host: threads of a block are fibers that take turns, blocks run one after the other.
// Fragments of tensor cores are passed between the lanes of a warp as the PTX ISA lays them out.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define HOST
#define KERNEL static void
#define __device__
#define __shared__ static

struct Extent {
    unsigned x, y, z;
};
Extent threadIdx, blockIdx, blockDim;

namespace fibers {

const unsigned MOST = 256, STACK = 64 * 1024;

// A jump buffer of __builtin_setjmp. _longjmp of glibc is slower, because it also runs cleanup handlers.
typedef void *Place[5];

struct Fiber {
    ucontext_t start;
    Place place;
    bool begun, done;
    unsigned exchanges;
};

struct Barrier {
    unsigned waiting, generation;
};

Fiber all[MOST];
unsigned current, events;
Place scheduler;
void (*body)(const void *);
const void *argument;
Barrier block_barrier, warp_barriers[MOST / 32];

// One function must not contain both built-in functions, and the optimiser must not conclude from the body of these functions that memory
// does not change in them.
__attribute__((noipa)) void leave() { __builtin_longjmp(scheduler, 1); }

__attribute__((noipa)) void yield() {
    if (!__builtin_setjmp(all[current].place)) leave();
}

void entry() {
    for (;;) {
        body(argument);
        all[current].done = true;
        events++;
        yield();
    }
}

void wait(Barrier &barrier, unsigned members) {
    const unsigned generation = barrier.generation;
    events++;
    if (++barrier.waiting == members) {
        barrier.waiting = 0;
        barrier.generation++;
    } else {
        while (barrier.generation == generation) yield();
    }
}

__attribute__((noipa)) void enter(Fiber &fiber) {
    if (fiber.begun) __builtin_longjmp(fiber.place, 1);
    fiber.begun = true;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = malloc(STACK);
    fiber.start.uc_stack.ss_size = STACK;
    fiber.start.uc_link = 0;
    makecontext(&fiber.start, entry, 0);
    setcontext(&fiber.start);
}

__attribute__((noipa)) void resume(unsigned thread) {
    current = thread;
    threadIdx.x = thread;
    if (!__builtin_setjmp(scheduler)) enter(all[thread]);
}

void block() {
    for (unsigned thread = 0; thread < blockDim.x; thread++) all[thread].done = false;
    for (bool busy = true; busy;) {
        const unsigned before = events;
        busy = false;
        for (unsigned thread = 0; thread < blockDim.x; thread++) {
            if (all[thread].done) continue;
            resume(thread);
            busy |= !all[thread].done;
        }
        if (busy && events == before) {
            fprintf(stderr, "a thread waits at a barrier that others never reach\n");
            abort();
        }
    }
}

void grid(const unsigned *blocks, unsigned threads, void (*kernel)(const void *), const void *words) {
    if (threads > MOST || threads % 32) abort();
    body = kernel;
    argument = words;
    blockDim = {threads, 1, 1};
    for (blockIdx.z = 0; blockIdx.z < blocks[2]; blockIdx.z++) {
        for (blockIdx.y = 0; blockIdx.y < blocks[1]; blockIdx.y++) {
            for (blockIdx.x = 0; blockIdx.x < blocks[0]; blockIdx.x++) block();
        }
    }
}

} // namespace fibers

static inline void __syncthreads() { fibers::wait(fibers::block_barrier, blockDim.x); }

namespace tensor_cores {

struct Exchange {
    unsigned a[32][4], b[32][2];
};
// Two, so that no lane overwrites what a slower one still reads.
Exchange exchanges[fibers::MOST / 32][2];

const Exchange &exchange(const unsigned (&a)[4], const unsigned (&b)[2]) {
    const unsigned thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    Exchange &own = exchanges[warp][fibers::all[thread].exchanges++ % 2];
    memcpy(own.a[lane], a, sizeof a);
    memcpy(own.b[lane], b, sizeof b);
    fibers::wait(fibers::warp_barriers[warp], 32);
    return own;
}

float number(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

unsigned bits(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof x);
    return bits;
}

// PTX ISA 9.7.14, "Matrix Fragments for mma.m16n8k8", .tf32: a register holds one number.
float a_tf32(const Exchange &all, int row, int k) { return number(all.a[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2]); }
float b_tf32(const Exchange &all, int k, int column) { return number(all.b[column * 4 + k % 4][k / 4]); }

// "Matrix Fragments for mma.m16n8k16", .bf16: a register holds two numbers, the one with the smaller k in its low half.
float half(unsigned pair, int k) { return number(k % 2 ? pair & 0xffff0000u : pair << 16); }
float a_bf16(const Exchange &all, int row, int k) { return half(all.a[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k); }
float b_bf16(const Exchange &all, int k, int column) { return half(all.b[column * 4 + k % 8 / 2][k / 8], k); }

} // namespace tensor_cores

static unsigned to_tf32(float x) { return x != x ? tensor_cores::bits(x) : (tensor_cores::bits(x) + 0x1000u) & ~0x1fffu; }

static unsigned to_bf16(float x) {
    const unsigned bits = tensor_cores::bits(x);
    return x != x ? 0x7fc0u : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}

static unsigned pack_bf16(float low, float high) { return to_bf16(high) << 16 | to_bf16(low); }

#define MMA(name, depth, left, right)                                                                     \
    static void name(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {                     \
        const tensor_cores::Exchange &all = tensor_cores::exchange(a, b);                                 \
        const int lane = threadIdx.x % 32;                                                                \
        for (int i = 0; i < 4; i++) {                                                                     \
            const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;                          \
            float sum = 0;                                                                                \
            for (int k = 0; k < depth; k++) sum += tensor_cores::left(all, row, k) * tensor_cores::right(all, k, column); \
            d[i] += sum;                                                                                  \
        }                                                                                                 \
    }
MMA(mma_tf32, 8, a_tf32, b_tf32)
MMA(mma_bf16, 16, a_bf16, b_bf16)
