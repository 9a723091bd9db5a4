// A block multiplies two matrices: a tile of ROWS × COLUMNS sums over chunks of DEPTH. The kernels copy both factors to shared memory.

#define WARPS 4
#define ROWS (16 * WARPS)
#define TILE_THREADS (32 * WARPS)

template <int COLUMNS>
union Tile {
    struct {
        real left[ROWS][LEFT_PITCH];
        real right[DEPTH][RIGHT_PITCH(COLUMNS)];
    };
    // The sums, after all chunks are multiplied.
    real made[ROWS][COLUMNS + 1];
};

template <int COLUMNS, class Left, class Right>
__device__ void product(Tile<COLUMNS> &tile, real (&sum)[COLUMNS / 8][4], Left &left, Right &right, int chunks) {
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++) {
        for (int i = 0; i < 4; i++) sum[j][i] = 0;
    }
    for (int chunk = 0; chunk < chunks; chunk++) {
        left.fill(tile.left, chunk);
        right.fill(tile.right, chunk);
        __syncthreads();
        const real (*rows)[LEFT_PITCH] = tile.left + threadIdx.x / 32 * 16;
        const LeftFragment<DEPTH> left_part([&](int row, int k) { return rows[row][k]; });
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
            const RightFragment<DEPTH> right_part([&](int k, int column) { return tile.right[k][j * 8 + column]; });
            multiply<DEPTH>(sum[j], left_part, right_part);
        }
        __syncthreads();
    }
}

// Calls visit(row, column, sum) for every sum of this thread.
template <int COLUMNS, class Visit>
__device__ void each_sum(const real (&sum)[COLUMNS / 8][4], Visit visit) {
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4, column = lane % 4 * 2;
    // Sums stay in registers only where every index is known.
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) visit(row + i / 2 * 8, j * 8 + column + i % 2, sum[j][i]);
    }
}

// A chunk of a convolution is DEPTH channels of one tap.
struct Chunk {
    int tap, ky, kx, channel;
};

// The number of chunks that contain all channels of one tap.
__device__ inline int chunks_of_tap(int channels) { return (channels + DEPTH - 1) / DEPTH; }

__device__ inline int chunks_of(const Kernel &kernel, int channels) {
    return (int)kernel.taps * chunks_of_tap(channels);
}

__device__ inline Chunk chunk_of(const Window &window, int channels, int chunk) {
    const int each = chunks_of_tap(channels), tap = chunk / each, k = (int)window.kernel;
    Chunk result = {tap, tap / k, tap % k, (chunk - tap * each) * DEPTH};
    return result;
}
