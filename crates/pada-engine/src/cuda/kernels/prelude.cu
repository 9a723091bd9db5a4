// Definitions for all kernels. REAL is the type of all numbers in the arena; MULTIPLY selects the multiplication of dense convolutions.
// Every value of a batch is [images, height, width, stride]: channels last, rounded up to whole vectors. Padding channels are zero.
// Every sum has a fixed order, so that a pass gives the same bits every time.

#define MULTIPLY_PLAIN 0
#define MULTIPLY_TF32 1
#define MULTIPLY_BF16 2

typedef REAL real;

#ifndef KERNEL
#define KERNEL extern "C" __global__ void
#endif

// Threads per block of the kernels that have one thread per number.
#define BLOCK 256

struct alignas(4 * sizeof(real)) Quad {
    real v[4];
};

__device__ inline long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

__device__ inline Quad quad_at(const real *list) { return *(const Quad *)list; }

__device__ inline Quad zeros() {
    Quad q = {};
    return q;
}

__device__ inline void put(real *out, Quad q, bool add) {
    if (add) {
        Quad old = quad_at(out);
        for (int i = 0; i < 4; i++) q.v[i] += old.v[i];
    }
    *(Quad *)out = q;
}

// Clamps x. NaN stays NaN.
__device__ inline real between(real x, real low, real high) { return x < low ? low : x > high ? high : x; }
