// Dense convolutions as products of matrices whose left side is gathered: no patches are stored.

// The rows of a tile that a thread loads: four numbers of each of two rows.
struct Rows {
    int row, quad;
    Pixel pixel[2];
    bool inside[2];

    __device__ Rows(long long first, long long rows, int height, int width) {
        row = threadIdx.x / 4;
        quad = threadIdx.x % 4 * 4;
        for (int i = 0; i < 2; i++) {
            long long at = first + row + i * ROWS / 2;
            inside[i] = at < rows;
            pixel[i] = pixel_of(inside[i] ? at : 0, height, width);
        }
    }

    __device__ void put(real (*left)[LEFT_PITCH], int i, Quad q) const {
        for (int n = 0; n < 4; n++) left[row + i * ROWS / 2][quad + n] = q.v[n];
    }
};

// The two directions of a convolution, each a product with the weights: the forward pass reads the input, the backward pass reads the
// gradient of the output.

__device__ inline int channels_read(const ForwardArgs &args) { return (int)args.kernel.channels_in; }
__device__ inline int channels_read(const BackwardArgs &args) { return (int)args.kernel.channels_out; }

// Four numbers that a tap reads for a pixel of the result; zeros outside the image.
__device__ inline Quad quad_read(const ForwardArgs &args, Pixel made, const Chunk &tap, int channel) {
    const long long row = input_row(args.window, made, tap.ky, tap.kx);
    return row >= 0 && channel < args.stride_in ? quad_of(args.value, row * args.stride_in + channel, channel) : zeros();
}
__device__ inline Quad quad_read(const BackwardArgs &args, Pixel made, const Chunk &tap, int channel) {
    const long long row = output_row(args.window, made, tap.ky, tap.kx);
    return row >= 0 && channel < args.stride_out ? quad_of(args.output_grad, row * args.stride_out + channel, channel) : zeros();
}

// The weight between a channel that is read and a channel of the result.
__device__ inline real weight_between(const ForwardArgs &args, int tap, int read, int made) {
    return weight_of(args.kernel, tap, read, made);
}
__device__ inline real weight_between(const BackwardArgs &args, int tap, int read, int made) {
    return weight_of(args.kernel, tap, made, read);
}

template <class Args>
struct ReadRows {
    const Args &args;
    Rows rows;

    __device__ void fill(real (*left)[LEFT_PITCH], int number) const {
        const Chunk chunk = chunk_of(args.window, channels_read(args), number);
        for (int i = 0; i < 2; i++) {
            rows.put(left, i, rows.inside[i] ? quad_read(args, rows.pixel[i], chunk, chunk.channel + rows.quad) : zeros());
        }
    }
};

template <class Args>
struct Weights {
    const Args &args;
    // The first channel of the result.
    int first;

    template <int PITCH>
    __device__ void fill(real (*right)[PITCH], int number) const {
        const Chunk chunk = chunk_of(args.window, channels_read(args), number);
        const int columns = PITCH - 8;
        for (int i = threadIdx.x; i < DEPTH * columns; i += TILE_THREADS) {
            right[i / columns][i % columns] = weight_between(args, chunk.tap, chunk.channel + i / columns, first + i % columns);
        }
    }
};

// Mean and sum of squared distances of each column of the tile, in two passes over the numbers.
template <int COLUMNS>
__device__ void tile_moments(Tile<COLUMNS> &tile, const ForwardArgs &args, int first_column, int rows) {
    const int parts = TILE_THREADS / COLUMNS, column = threadIdx.x % COLUMNS, part = threadIdx.x / COLUMNS;
    __shared__ Moments shared[TILE_THREADS];
    const int each = ROWS / parts, first = part * each;
    Moments own = {0, 0, 0};
    own.count = rows - first < 0 ? 0 : rows - first < each ? rows - first : each;
    for (int i = 0; i < own.count; i++) own.mean += tile.made[first + i][column] / own.count;
    for (int i = 0; i < own.count; i++) {
        double distance = tile.made[first + i][column] - own.mean;
        own.spread += distance * distance;
    }
    shared[threadIdx.x] = own;
    __syncthreads();
    const int channel = first_column + column;
    if (part > 0 || channel >= args.stride_out) return;
    for (int other = 1; other < parts; other++) own = joined(own, shared[other * COLUMNS + column]);
    double *out = args.partial + (long long)blockIdx.x * 2 * args.stride_out + channel;
    out[0] = own.mean;
    out[args.stride_out] = own.spread;
}

template <int COLUMNS>
__device__ void dense_forward(const ForwardArgs &args) {
    __shared__ Tile<COLUMNS> tile;
    const long long first = (long long)blockIdx.x * ROWS;
    const int first_column = blockIdx.y * COLUMNS;
    real sum[COLUMNS / 8][4];
    ReadRows<ForwardArgs> left = {args, Rows(first, args.rows, (int)args.window.out_height, (int)args.window.out_width)};
    Weights<ForwardArgs> right = {args, first_column};
    product<COLUMNS>(tile, sum, left, right, chunks_of(args.kernel, channels_read(args)));
    each_sum<COLUMNS>(sum, [&](int row, int column, real made) {
        const int channel = first_column + column;
        if (channel >= args.kernel.channels_out) made = 0;
        else if (args.bias) made += args.bias[channel];
        if (args.partial) tile.made[row][column] = made;
        if (first + row < args.rows && channel < args.stride_out) args.out[(first + row) * args.stride_out + channel] = made;
    });
    if (!args.partial) return;
    __syncthreads();
    const long long rows = args.rows - first;
    tile_moments<COLUMNS>(tile, args, first_column, rows < ROWS ? (int)rows : ROWS);
}

template <int COLUMNS>
__device__ void dense_backward(const BackwardArgs &args) {
    __shared__ Tile<COLUMNS> tile;
    const long long first = (long long)blockIdx.x * ROWS;
    const int first_column = blockIdx.y * COLUMNS;
    real sum[COLUMNS / 8][4];
    ReadRows<BackwardArgs> left = {args, Rows(first, args.rows, (int)args.window.height, (int)args.window.width)};
    Weights<BackwardArgs> right = {args, first_column};
    product<COLUMNS>(tile, sum, left, right, chunks_of(args.kernel, channels_read(args)));
    each_sum<COLUMNS>(sum, [&](int row, int column, real made) {
        const int channel = first_column + column;
        if (first + row >= args.rows || channel >= args.stride_in) return;
        const long long place = (first + row) * args.stride_in + channel;
        if (channel >= args.kernel.channels_in) made = 0;
        made = unless_cut(args.mask, place, channel, made);
        args.out[place] = args.add ? args.out[place] + made : made;
    });
}

KERNEL dense_forward_16(ForwardArgs args) { dense_forward<16>(args); }
KERNEL dense_forward_32(ForwardArgs args) { dense_forward<32>(args); }
KERNEL dense_forward_64(ForwardArgs args) { dense_forward<64>(args); }
KERNEL dense_backward_16(BackwardArgs args) { dense_backward<16>(args); }
KERNEL dense_backward_32(BackwardArgs args) { dense_backward<32>(args); }
KERNEL dense_backward_64(BackwardArgs args) { dense_backward<64>(args); }
