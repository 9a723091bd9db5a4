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

// Stacks whose distance were a power of two would share few sets of the caches.
const unsigned MOST = 256, STACK = 64 * 1024 + 17 * 64;

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
// Threads of the block that have not returned, and how often a thread arrived at a barrier or returned.
unsigned current, running, events;
Place scheduler;
void (*body)(const void *);
const void *argument;
Barrier block_barrier, warp_barriers[MOST / 32];

void entry();

// One function must not contain both built-in functions, and the optimiser must not conclude from the body of these functions that memory
// does not change in them.
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

// Goes on with the next thread that has not returned, or with the scheduler after the last one.
__attribute__((noipa)) void advance() {
    do current++;
    while (current < blockDim.x && all[current].done);
    if (current == blockDim.x) __builtin_longjmp(scheduler, 1);
    threadIdx.x = current;
    enter(all[current]);
}

__attribute__((noipa)) void yield() {
    if (!__builtin_setjmp(all[current].place)) advance();
}

// Gives every thread a turn.
__attribute__((noipa)) void take_turns() {
    current = -1;
    if (!__builtin_setjmp(scheduler)) advance();
}

void entry() {
    for (;;) {
        body(argument);
        all[current].done = true;
        running--;
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

void block() {
    for (unsigned thread = 0; thread < blockDim.x; thread++) all[thread].done = false;
    running = blockDim.x;
    while (running) {
        const unsigned before = events;
        take_turns();
        if (running && events == before) {
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

// The fragments of a warp, and the product of its two matrices, which the last lane to arrive computes for all.
struct Exchange {
    unsigned a[32][4], b[32][2];
    float product[16][8];
};
// Two, so that no lane overwrites what a slower one still reads.
Exchange exchanges[fibers::MOST / 32][2];

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

// Sums run over k in ascending order and do not start with d, so that the order does not depend on which lane computes them.
template <int DEPTH, float left(const Exchange &, int, int), float right(const Exchange &, int, int)>
void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    const unsigned thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    Exchange &own = exchanges[warp][fibers::all[thread].exchanges++ % 2];
    fibers::Barrier &barrier = fibers::warp_barriers[warp];
    memcpy(own.a[lane], a, sizeof a);
    memcpy(own.b[lane], b, sizeof b);
    if (barrier.waiting + 1 == 32) {
        float rows[DEPTH][8];
        for (int k = 0; k < DEPTH; k++) {
            for (int column = 0; column < 8; column++) rows[k][column] = right(own, k, column);
        }
        for (int row = 0; row < 16; row++) {
            float sums[8] = {};
            for (int k = 0; k < DEPTH; k++) {
                const float factor = left(own, row, k);
                for (int column = 0; column < 8; column++) sums[column] += factor * rows[k][column];
            }
            memcpy(own.product[row], sums, sizeof sums);
        }
    }
    fibers::wait(barrier, 32);
    for (int i = 0; i < 4; i++) d[i] += own.product[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

} // namespace tensor_cores

static unsigned to_tf32(float x) { return x != x ? tensor_cores::bits(x) : (tensor_cores::bits(x) + 0x1000u) & ~0x1fffu; }

static unsigned to_bf16(float x) {
    const unsigned bits = tensor_cores::bits(x);
    return x != x ? 0x7fc0u : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}

static unsigned pack_bf16(float low, float high) { return to_bf16(high) << 16 | to_bf16(low); }

static void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    tensor_cores::multiply<8, tensor_cores::a_tf32, tensor_cores::b_tf32>(d, a, b);
}
static void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    tensor_cores::multiply<16, tensor_cores::a_bf16, tensor_cores::b_bf16>(d, a, b);
}
