// A warp multiplies: [16 rows, DEPTH] · [DEPTH, COLUMNS], both in shared memory, added to sums in registers.
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

#if MULTIPLY == MULTIPLY_TF32

// Two TF32 numbers whose sum has twice the bits of one.
__device__ inline void split(float x, unsigned &big, unsigned &small) {
    big = to_tf32(x);
    small = to_tf32(x - as_float(big));
}

// Three products of TF32 numbers are as exact as one of f32, but for the last bits.
template <int COLUMNS>
__device__ void multiply(real (&sum)[COLUMNS / 8][4], const real (*left)[LEFT_PITCH], const real (*right)[RIGHT_PITCH(COLUMNS)]) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int k = 0; k < DEPTH; k += 8) {
        unsigned big_a[4], small_a[4], big_b[2], small_b[2];
#pragma unroll
        for (int i = 0; i < 4; i++) split(left[g + i % 2 * 8][k + t + i / 2 * 4], big_a[i], small_a[i]);
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
            for (int i = 0; i < 2; i++) split(right[k + t + i * 4][j * 8 + g], big_b[i], small_b[i]);
            mma_tf32(sum[j], small_a, big_b);
            mma_tf32(sum[j], big_a, small_b);
            mma_tf32(sum[j], big_a, big_b);
        }
    }
}

#elif MULTIPLY == MULTIPLY_BF16

template <int COLUMNS>
__device__ void multiply(real (&sum)[COLUMNS / 8][4], const real (*left)[LEFT_PITCH], const real (*right)[RIGHT_PITCH(COLUMNS)]) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    unsigned a[4], b[2];
    for (int i = 0; i < 4; i++) {
        const real *pair = &left[g + i % 2 * 8][2 * t + i / 2 * 8];
        a[i] = pack_bf16(pair[0], pair[1]);
    }
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++) {
        for (int i = 0; i < 2; i++) b[i] = pack_bf16(right[2 * t + i * 8][j * 8 + g], right[2 * t + i * 8 + 1][j * 8 + g]);
        mma_bf16(sum[j], a, b);
    }
}

#else

template <int COLUMNS>
__device__ void multiply(real (&sum)[COLUMNS / 8][4], const real (*left)[LEFT_PITCH], const real (*right)[RIGHT_PITCH(COLUMNS)]) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int k = 0; k < DEPTH; k++) {
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
            for (int i = 0; i < 4; i++) sum[j][i] += left[g + i / 2 * 8][k] * right[k][j * 8 + 2 * t + i % 2];
        }
    }
}

#endif
