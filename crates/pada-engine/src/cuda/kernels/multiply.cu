// A warp multiplies: [16 rows, K] · [K, 8 columns], both in shared memory, added to sums in registers. K is 16, or 8 unless MULTIPLY is
// MULTIPLY_BF16.
//
// A lane's four sums of eight columns are those of rows g and g + 8 and columns 2t and 2t + 1, with g = lane / 4 and t = lane % 4: the
// layout of the accumulators of mma.m16n8 (PTX ISA, "Matrix Fragments for mma").

#define DEPTH 16
// Four more than DEPTH: then the rows of eight lanes begin in different banks.
#define LEFT_PITCH (DEPTH + 4)
#define RIGHT_PITCH(columns) ((columns) + 8)

#ifndef HOST
// The nearest number with ten bits behind the point.
__device__ inline unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// Two bf16 numbers, `low` in the low half.
__device__ inline unsigned pack_bf16(float low, float high) {
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

__device__ inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

__device__ inline float as_float(unsigned bits) {
    union {
        unsigned bits;
        float number;
    } both = {bits};
    return both.number;
}

// Fragments are what a lane holds of a factor. `at(row, k)` and `at(k, column)` read the factors; every index is known at compile time but
// for g and t.

#if MULTIPLY == MULTIPLY_TF32

// Two TF32 numbers whose sum has twice the bits of one.
__device__ inline void split(float x, unsigned &big, unsigned &small) {
    big = to_tf32(x);
    small = to_tf32(x - as_float(big));
}

template <int K>
struct LeftFragment {
    unsigned big[K / 8][4], small[K / 8][4];

    template <class At>
    __device__ explicit LeftFragment(At at) {
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int k = 0; k < K / 8; k++) {
#pragma unroll
            for (int i = 0; i < 4; i++) split(at(g + i % 2 * 8, k * 8 + t + i / 2 * 4), big[k][i], small[k][i]);
        }
    }
};

template <int K>
struct RightFragment {
    unsigned big[K / 8][2], small[K / 8][2];

    template <class At>
    __device__ explicit RightFragment(At at) {
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int k = 0; k < K / 8; k++) {
#pragma unroll
            for (int i = 0; i < 2; i++) split(at(k * 8 + t + i * 4, g), big[k][i], small[k][i]);
        }
    }
};

// Three products of TF32 numbers are as exact as one of f32, but for the last bits.
template <int K>
__device__ inline void multiply(real (&sum)[4], const LeftFragment<K> &left, const RightFragment<K> &right) {
#pragma unroll
    for (int k = 0; k < K / 8; k++) {
        mma_tf32(sum, left.small[k], right.big[k]);
        mma_tf32(sum, left.big[k], right.small[k]);
        mma_tf32(sum, left.big[k], right.big[k]);
    }
}

#elif MULTIPLY == MULTIPLY_BF16

template <int K>
struct LeftFragment {
    unsigned pairs[4];

    template <class At>
    __device__ explicit LeftFragment(At at) {
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = g + i % 2 * 8, k = 2 * t + i / 2 * 8;
            pairs[i] = pack_bf16(at(row, k), at(row, k + 1));
        }
    }
};

template <int K>
struct RightFragment {
    unsigned pairs[2];

    template <class At>
    __device__ explicit RightFragment(At at) {
        const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int i = 0; i < 2; i++) pairs[i] = pack_bf16(at(2 * t + i * 8, g), at(2 * t + i * 8 + 1, g));
    }
};

template <int K>
__device__ inline void multiply(real (&sum)[4], const LeftFragment<K> &left, const RightFragment<K> &right) {
    static_assert(K == 16, "one instruction multiplies sixteen numbers");
    mma_bf16(sum, left.pairs, right.pairs);
}

#else

template <int K>
struct LeftFragment {
    real rows[2][K];

    template <class At>
    __device__ explicit LeftFragment(At at) {
        const int g = threadIdx.x % 32 / 4;
        for (int k = 0; k < K; k++) {
            for (int i = 0; i < 2; i++) rows[i][k] = at(g + i * 8, k);
        }
    }
};

template <int K>
struct RightFragment {
    real columns[2][K];

    template <class At>
    __device__ explicit RightFragment(At at) {
        const int t = threadIdx.x % 4;
        for (int k = 0; k < K; k++) {
            for (int i = 0; i < 2; i++) columns[i][k] = at(k, 2 * t + i);
        }
    }
};

template <int K>
__device__ inline void multiply(real (&sum)[4], const LeftFragment<K> &left, const RightFragment<K> &right) {
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < 4; i++) sum[i] += left.rows[i / 2][k] * right.columns[i % 2][k];
    }
}

#endif
