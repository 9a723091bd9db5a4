// The gradient of a dense convolution's weights: [taps · C_in, pixels] · [pixels, C_out]. Each block sums over a slab of pixels.

struct Slab {
    const WeightArgs &args;
    long long first, last;
    // The pixels of the current chunk.
    Pixel (&pixels)[DEPTH];

    __device__ void locate(int chunk) const {
        if (threadIdx.x < DEPTH) {
            long long row = first + (long long)chunk * DEPTH + threadIdx.x;
            pixels[threadIdx.x] = pixel_of(row, (int)args.window.out_height, (int)args.window.out_width);
        }
        __syncthreads();
    }
};

// The left factor. Each thread loads one tap and input channel, for every other pixel of a chunk.
struct TapRows {
    const Slab &slab;
    int row, tap, channel;
    bool inside;

    __device__ TapRows(const Slab &slab, int first) : slab(slab) {
        const Kernel &kernel = slab.args.kernel;
        row = threadIdx.x % ROWS;
        inside = first + row < kernel.taps * kernel.channels_in;
        tap = (int)((first + row) / kernel.channels_in);
        channel = (int)((first + row) % kernel.channels_in);
    }

    __device__ void fill(real (*left)[LEFT_PITCH], int chunk) const {
        slab.locate(chunk);
        const WeightArgs &args = slab.args;
        const int k = (int)args.window.kernel;
        for (int i = threadIdx.x / ROWS; i < DEPTH; i += TILE_THREADS / ROWS) {
            bool there = inside && slab.first + (long long)chunk * DEPTH + i < slab.last;
            long long at = there ? input_row(args.window, slab.pixels[i], tap / k, tap % k) : -1;
            left[row][i] = at >= 0 ? number_of(args.value, at * args.stride_in + channel, channel) : 0;
        }
    }
};

// The right factor: rows of the gradient of the output.
struct OutputGradRows {
    const Slab &slab;
    int first;

    template <int PITCH>
    __device__ void fill(real (*right)[PITCH], int chunk) const {
        const WeightArgs &args = slab.args;
        const int quads = (PITCH - 8) / 4;
        for (int i = threadIdx.x; i < DEPTH * quads; i += TILE_THREADS) {
            const long long row = slab.first + (long long)chunk * DEPTH + i / quads;
            const int column = i % quads * 4, channel = first + column;
            bool there = row < slab.last && channel < args.stride_out;
            Quad q = there ? quad_of(args.output_grad, row * args.stride_out + channel, channel) : zeros();
            for (int n = 0; n < 4; n++) right[i / quads][column + n] = q.v[n];
        }
    }
};

template <int COLUMNS>
__device__ void dense_weights(const WeightArgs &args) {
    __shared__ Tile<COLUMNS> tile;
    __shared__ Pixel pixels[DEPTH];
    const long long start = (long long)blockIdx.z * args.slab, end = start + args.slab;
    Slab slab = {args, start, end < args.rows ? end : args.rows, pixels};
    const int first_row = blockIdx.x * ROWS, first_column = blockIdx.y * COLUMNS;
    real sum[COLUMNS / 8][4];
    TapRows left(slab, first_row);
    OutputGradRows right = {slab, first_column};
    product<COLUMNS>(tile, sum, left, right, (int)((slab.last - slab.first + DEPTH - 1) / DEPTH));
    const long long height = args.kernel.taps * args.kernel.channels_in;
    each_sum<COLUMNS>(sum, [&](int row, int column, real made) {
        if (first_row + row >= height || first_column + column >= args.stride_out) return;
        args.partial[(blockIdx.z * height + first_row + row) * args.stride_out + first_column + column] = made;
    });
}

KERNEL dense_weights_16(WeightArgs args) { dense_weights<16>(args); }
KERNEL dense_weights_32(WeightArgs args) { dense_weights<32>(args); }
KERNEL dense_weights_64(WeightArgs args) { dense_weights<64>(args); }

// Numbers per block of add_dense_weights, and threads that add up the slabs of each.
#define ADDED 32
#define ADD_LANES (BLOCK / ADDED)

// Adds the sums of all slabs to the gradient: first those of every thread, then those of all threads, in their order.
KERNEL add_dense_weights(AddWeightsArgs args) {
    __shared__ double shared[ADD_LANES][ADDED];
    const Kernel &kernel = args.kernel;
    const int lane = threadIdx.x / ADDED, own = threadIdx.x % ADDED;
    const long long height = kernel.taps * kernel.channels_in, len = height * args.stride_out, i = (long long)blockIdx.x * ADDED + own;
    double sum = 0;
#pragma unroll 4
    for (long long slab = lane; i < len && slab < args.slabs; slab += ADD_LANES) sum += args.partial[slab * len + i];
    shared[lane][own] = sum;
    __syncthreads();
    if (lane > 0 || i >= len) return;
    for (int other = 1; other < ADD_LANES; other++) sum += shared[other][own];
    const int co = (int)(i % args.stride_out), row = (int)(i / args.stride_out);
    const int tap = (int)(row / kernel.channels_in), ci = (int)(row % kernel.channels_in);
    const int group_in = (int)(kernel.channels_in / kernel.groups), group_out = (int)(kernel.channels_out / kernel.groups);
    if (co >= kernel.channels_out || ci / group_in != co / group_out) return;
    args.gradient[((long long)co * group_in + ci % group_in) * kernel.taps + tap] += (float)sum;
}
