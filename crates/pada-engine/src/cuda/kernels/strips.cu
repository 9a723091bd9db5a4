// Dense convolutions with kernel 1 or 3, stride 1 and the border that keeps the size of the image. A block holds a strip of pixels in
// shared memory, with a border of zeros or neighbours, so that a number is normalised once for all taps. Other convolutions are in dense.cu.
//
// The pixels of a strip are multiplied by eights, called octets, which lie in one row of the image; rows are padded to whole octets.

// Pixels of a strip without and with its border.
#define STRIP_PIXELS 128
#define STRIP_WITH_BORDER 264
// Channels that are in shared memory at once.
#define STRIP_DEPTH (sizeof(real) == 4 ? 16 : 8)

// Strips of the kernels that compute gradients of weights, for 16 and 32 channels.
#define SLAB_PIXELS(channels) ((channels) == 16 ? (sizeof(real) == 4 ? 128 : 64) : (sizeof(real) == 4 ? 64 : 32))
#define SLAB_WITH_BORDER(channels) ((channels) == 16 ? (sizeof(real) == 4 ? 264 : 136) : (sizeof(real) == 4 ? 198 : 102))

struct alignas(2 * sizeof(real)) Pair {
    real v[2];
};

// No pixel: a place in the border of an image.
#define OUTSIDE (-(1 << 30))

template <int TAPS>
struct Strip {
    // 1 where a tap reads the neighbours of a pixel.
    static const int BORDER = TAPS == 9;
    // The first of the strip's pixels in the batch.
    long long first;
    // The pixels of a row, without and with those that fill octets, and the rows of the image above and from the strip's first row on.
    int rows, width, padded, above, below;
    // 2¹⁶ divided by pitch() and by the octets of a row, rounded up. Multiplying by them divides exactly, for all places in shared memory.
    unsigned by_pitch, by_octets;

    __device__ Strip(const StripArgs &args, long long number) {
        padded = (int)args.padded;
        rows = (int)args.rows;
        if (BORDER) {
            const long long each = args.height / args.rows;
            above = (int)(number % each * args.rows);
            below = (int)args.height - above;
            width = (int)args.width;
            first = (number / each * args.height + above) * args.width;
        } else {
            above = 0;
            below = 1;
            first = number * padded;
            width = args.pixels - first < padded ? (int)(args.pixels - first) : padded;
        }
        by_pitch = (65536 + pitch() - 1) / pitch();
        by_octets = (65536 + padded / 8 - 1) / (padded / 8);
    }

    __device__ int pitch() const { return padded + 2 * BORDER; }
    __device__ int with_border() const { return (rows + 2 * BORDER) * pitch(); }
    __device__ int octets() const { return rows * padded / 8; }
    __device__ int pixels() const { return rows * width; }
    __device__ int row_of(int octet) const { return (int)(octet * by_octets >> 16); }
    // Where the window of an octet's first pixel begins in shared memory.
    __device__ int corner(int octet) const { return octet * 8 + row_of(octet) * (pitch() - padded); }
    // The number of a pixel of an octet in the strip; -1 if it only fills the octet.
    __device__ int number(int octet, int pixel) const {
        const int y = row_of(octet), x = octet * 8 - y * padded + pixel;
        return x < width && y < rows ? y * width + x : -1;
    }
    // The pixel of a place in shared memory, counted from the first pixel of the strip; OUTSIDE in the border of the image.
    __device__ int pixel(int place) const {
        const int row = (int)(place * by_pitch >> 16), y = row - BORDER, x = place - row * pitch() - BORDER;
        return x >= 0 && x < width && y >= -above && y < below ? y * width + x : OUTSIDE;
    }
    __device__ int offset(int tap) const { return TAPS == 9 ? tap / 3 * pitch() + tap % 3 : 0; }
};

// Reads four channels of pixels, which are counted from the pixel that `start` was called with. The coefficients stay in registers, and
// every load is done, so that loads can overlap.
struct ValueReader {
    const real *x, *begin;
    Quad mean, scale, shift;
    real low, high;
    int stride;
    bool there;

    __device__ ValueReader(const Value &value, long long all, int channel) {
        stride = (int)all;
        there = channel < stride;
        const int from = there ? channel : 0;
        x = value.x + from;
        low = (real)value.low;
        high = (real)value.high;
        mean = shift = zeros();
        for (int i = 0; i < 4; i++) scale.v[i] = 1;
        if (!value.mean) return;
        mean = quad_at(value.mean + from);
        scale = quad_at(value.scale + from);
        shift = quad_at(value.shift + from);
    }

    __device__ void start(long long first) { begin = x + first * stride; }

    __device__ Quad at(int pixel) const {
        const bool inside = there && pixel != OUTSIDE;
        Quad q = quad_at(begin + (inside ? pixel : 0) * stride);
        for (int i = 0; i < 4; i++) {
            q.v[i] = between((q.v[i] - mean.v[i]) * scale.v[i] + shift.v[i], low, high);
            if (!inside) q.v[i] = 0;
        }
        return q;
    }
};

struct GradientReader {
    const real *direct, *after, *y;
    long long begin;
    Quad mean, a, b, c;
    int stride;
    bool there;

    __device__ GradientReader(const OutputGrad &grad, long long all, int channel) {
        stride = (int)all;
        there = channel < stride;
        const int from = there ? channel : 0;
        direct = grad.direct ? grad.direct + from : 0;
        after = grad.after ? grad.after + from : 0;
        if (!after) return;
        y = grad.y + from;
        mean = quad_at(grad.mean + from);
        a = quad_at(grad.a + from);
        b = quad_at(grad.b + from);
        c = quad_at(grad.c + from);
    }

    __device__ void start(long long first) { begin = first * stride; }

    __device__ Quad at(int pixel) const {
        const bool inside = there && pixel != OUTSIDE;
        const long long place = begin + (inside ? pixel : 0) * stride;
        Quad g = zeros();
        if (after) {
            const Quad q = quad_at(after + place), made = quad_at(y + place);
            for (int i = 0; i < 4; i++) g.v[i] = q.v[i] * a.v[i] + ((made.v[i] - mean.v[i]) * b.v[i] + c.v[i]);
        }
        if (direct) {
            const Quad q = quad_at(direct + place);
            for (int i = 0; i < 4; i++) g.v[i] += q.v[i];
        }
        for (int i = 0; i < 4 && !inside; i++) g.v[i] = 0;
        return g;
    }
};

__device__ inline ValueReader reader_of(const ForwardArgs &args, int channel) {
    return ValueReader(args.value, args.stride_in, channel);
}
__device__ inline GradientReader reader_of(const BackwardArgs &args, int channel) {
    return GradientReader(args.output_grad, args.stride_out, channel);
}

// Copies CHANNELS channels of `count` places to shared memory. The threads of a block read the same four channels in every turn.
template <int CHANNELS, int PITCH, class Reader, class Pixel>
__device__ void copy_pixels(real (*tile)[PITCH], int count, const Reader &reader, Pixel pixel) {
    const int quads = CHANNELS / 4, quad = threadIdx.x % quads * 4;
#pragma unroll 4
    for (int place = threadIdx.x / quads; place < count; place += TILE_THREADS / quads) {
        *(Quad *)&tile[place][quad] = reader.at(pixel(place));
    }
}

// The weights of a chunk of channels, [TAPS, STRIP_DEPTH, COLUMNS]. The numbers of a tap begin in another bank than those of the next.
template <int TAPS, int COLUMNS>
struct StripWeights {
    static const int TAP = STRIP_DEPTH * RIGHT_PITCH(COLUMNS) + 1;
    real list[TAPS * TAP];

    __device__ real &at(int tap, int k, int column) { return list[tap * TAP + k * RIGHT_PITCH(COLUMNS) + column]; }

    // Threads next to each other read weights next to each other.
    __device__ void fill(const ForwardArgs &args, int from, int first) {
        const Kernel &kernel = args.kernel;
        for (int i = threadIdx.x; i < COLUMNS * STRIP_DEPTH * TAPS; i += TILE_THREADS) {
            const int column = i / (STRIP_DEPTH * TAPS), k = i / TAPS % STRIP_DEPTH, tap = i % TAPS;
            const bool there = from + k < kernel.channels_in && first + column < kernel.channels_out;
            const long long place = ((first + column) * kernel.channels_in + from + k) * TAPS + tap;
            at(tap, k, column) = there ? kernel.weights[place] : 0;
        }
    }
    // Backwards, a tap reads where the opposite one reads forwards.
    __device__ void fill(const BackwardArgs &args, int from, int first) {
        const Kernel &kernel = args.kernel;
        for (int i = threadIdx.x; i < COLUMNS * STRIP_DEPTH * TAPS; i += TILE_THREADS) {
            const int k = i / (COLUMNS * TAPS), column = i / TAPS % COLUMNS, tap = i % TAPS;
            const bool there = from + k < kernel.channels_out && first + column < kernel.channels_in;
            const long long place = ((from + k) * kernel.channels_in + first + column) * TAPS + tap;
            at(TAPS - 1 - tap, k, column) = there ? kernel.weights[place] : 0;
        }
    }
};

// The results, after all chunks are multiplied, and moments of parts of their columns.
template <int COLUMNS>
struct StripResults {
    real made[STRIP_PIXELS][COLUMNS + 1];
    double means[TILE_THREADS], spreads[TILE_THREADS];
};

#if MULTIPLY == MULTIPLY_PLAIN

// Numbers of f64 leave no room for both weights and results.
#define WEIGHTS_STAY false

template <int TAPS, int COLUMNS>
union StripTile {
    struct {
        alignas(4 * sizeof(real)) real pixels[STRIP_WITH_BORDER][STRIP_DEPTH + 4];
        StripWeights<TAPS, COLUMNS> weights;
    };
    StripResults<COLUMNS> results;
};

#else

// Weights stay from strip to strip, if one chunk contains all channels.
#define WEIGHTS_STAY true

template <int TAPS, int COLUMNS>
struct StripTile {
    union {
        alignas(4 * sizeof(real)) real pixels[STRIP_WITH_BORDER][STRIP_DEPTH + 4];
        StripResults<COLUMNS> results;
    };
    StripWeights<TAPS, COLUMNS> weights;
};

#endif

// Each warp multiplies the sixteen pixels of two octets with the weights, and those of two more where a strip has more than eight octets.
// `fresh`: this is the first strip of the block.
template <int TAPS, int COLUMNS, class Args>
__device__ void strip_product(
    StripTile<TAPS, COLUMNS> &tile, real (&sum)[2][COLUMNS / 8][4], const Args &args, const Strip<TAPS> &strip, int first_column, bool fresh
) {
    const int warp = threadIdx.x / 32, last = strip.octets() - 1;
    const bool second = last >= 2 * WARPS;
    int corner[2][2];
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < 2; i++) {
            const int octet = 2 * (warp + m * WARPS) + i;
            corner[m][i] = strip.corner(octet < last ? octet : last);
        }
    }
    for (int from = 0; from < channels_read(args); from += STRIP_DEPTH) {
        const int channel = from + threadIdx.x % (STRIP_DEPTH / 4) * 4;
        auto reader = reader_of(args, channel);
        reader.start(strip.first);
        copy_pixels<STRIP_DEPTH>(tile.pixels, strip.with_border(), reader, [&](int place) { return strip.pixel(place); });
        if (fresh || !WEIGHTS_STAY || channels_read(args) > STRIP_DEPTH) tile.weights.fill(args, from, first_column);
        __syncthreads();
#pragma unroll 1
        for (int tap = 0; tap < TAPS && 2 * warp <= last; tap++) {
            const int offset = strip.offset(tap);
            const LeftFragment<STRIP_DEPTH> one([&](int row, int k) { return tile.pixels[corner[0][row / 8] + row % 8 + offset][k]; });
            const LeftFragment<STRIP_DEPTH> two([&](int row, int k) {
                return second ? tile.pixels[corner[1][row / 8] + row % 8 + offset][k] : 0;
            });
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
                const RightFragment<STRIP_DEPTH> right([&](int k, int column) { return tile.weights.at(tap, k, j * 8 + column); });
                multiply<STRIP_DEPTH>(sum[0][j], one, right);
                if (second) multiply<STRIP_DEPTH>(sum[1][j], two, right);
            }
        }
        __syncthreads();
    }
}

// Calls visit(pixel of the strip, column, pair of results) for all results of this thread.
template <int TAPS, int COLUMNS, class Visit>
__device__ void each_pair(const real (&sum)[2][COLUMNS / 8][4], const Strip<TAPS> &strip, Visit visit) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int pixel = strip.number(2 * (warp + m * WARPS) + half, lane / 4);
            if (pixel < 0) continue;
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
                const Pair pair = {sum[m][j][half * 2], sum[m][j][half * 2 + 1]};
                visit(pixel, j * 8 + lane % 4 * 2, pair);
            }
        }
    }
}

// Mean and sum of squared distances of each column of a strip.
template <int TAPS, int COLUMNS>
__device__ void strip_moments(StripTile<TAPS, COLUMNS> &tile, const ForwardArgs &args, int first_column, int pixels, long long number) {
    const int parts = TILE_THREADS / COLUMNS, column = threadIdx.x % COLUMNS, part = threadIdx.x / COLUMNS;
    // Sums are shifted by a part's first number, which avoids cancellation in the variance.
    const int each = (pixels + parts - 1) / parts, first = part * each, end = first + each < pixels ? first + each : pixels;
    const real shift = tile.results.made[first < pixels ? first : 0][column];
    real plain = 0, squares = 0;
    for (int i = first; i < end; i++) {
        const real x = tile.results.made[i][column] - shift;
        plain += x;
        squares += x * x;
    }
    const int count = end > first ? end - first : 0;
    const double distance = count ? (double)plain / count : 0, spread = squares - (double)plain * distance;
    tile.results.means[threadIdx.x] = shift + distance;
    tile.results.spreads[threadIdx.x] = spread > 0 || spread != spread ? spread : 0;
    __syncthreads();
    const int channel = first_column + column;
    if (part > 0 || channel >= args.stride_out) return;
    double mean = 0, all = 0;
    for (int other = 0; other < parts; other++) {
        const int rest = pixels - other * each, count = rest < 0 ? 0 : rest < each ? rest : each;
        mean += count * tile.results.means[other * COLUMNS + column];
    }
    mean /= pixels;
    for (int other = 0; other < parts; other++) {
        const int rest = pixels - other * each, count = rest < 0 ? 0 : rest < each ? rest : each;
        const double distance = tile.results.means[other * COLUMNS + column] - mean;
        if (count) all += tile.results.spreads[other * COLUMNS + column] + count * distance * distance;
    }
    double *out = args.partial + number * 2 * args.stride_out + channel;
    out[0] = mean;
    out[args.stride_out] = all;
}

template <int TAPS, int COLUMNS>
__device__ void strip_forward(const StripForwardArgs &strips) {
    __shared__ StripTile<TAPS, COLUMNS> tile;
    const ForwardArgs &args = strips.conv;
    const int first_column = blockIdx.y * COLUMNS;
    const long long start = blockIdx.x * strips.each, end = start + strips.each < strips.count ? start + strips.each : strips.count;
    for (long long number = start; number < end; number++) {
        const Strip<TAPS> strip(strips.strips, number);
        real sum[2][COLUMNS / 8][4] = {};
        strip_product<TAPS, COLUMNS>(tile, sum, args, strip, first_column, number == start);
        real *out = args.out + strip.first * args.stride_out;
        each_pair<TAPS, COLUMNS>(sum, strip, [&](int pixel, int column, Pair made) {
            const int channel = first_column + column;
            for (int i = 0; i < 2; i++) {
                if (channel + i >= args.kernel.channels_out) made.v[i] = 0;
                else if (args.bias) made.v[i] += args.bias[channel + i];
                if (args.partial) tile.results.made[pixel][column + i] = made.v[i];
            }
            if (channel < args.stride_out) *(Pair *)(out + pixel * (int)args.stride_out + channel) = made;
        });
        if (!args.partial) continue;
        __syncthreads();
        strip_moments<TAPS, COLUMNS>(tile, args, first_column, strip.pixels(), number);
        __syncthreads();
    }
}

template <int TAPS, int COLUMNS>
__device__ void strip_backward(const StripBackwardArgs &strips) {
    __shared__ StripTile<TAPS, COLUMNS> tile;
    const BackwardArgs &args = strips.conv;
    const int first_column = blockIdx.y * COLUMNS;
    const long long start = blockIdx.x * strips.each, end = start + strips.each < strips.count ? start + strips.each : strips.count;
    for (long long number = start; number < end; number++) {
        const Strip<TAPS> strip(strips.strips, number);
        real sum[2][COLUMNS / 8][4] = {};
        strip_product<TAPS, COLUMNS>(tile, sum, args, strip, first_column, number == start);
        each_pair<TAPS, COLUMNS>(sum, strip, [&](int pixel, int column, Pair made) {
            const int channel = first_column + column;
            if (channel >= args.stride_in) return;
            const long long place = (strip.first + pixel) * args.stride_in + channel;
            Pair *out = (Pair *)(args.out + place);
            const Pair old = args.add ? *out : Pair();
            for (int i = 0; i < 2; i++) {
                if (channel + i >= args.kernel.channels_in) made.v[i] = 0;
                made.v[i] = unless_cut(args.mask, place + i, channel + i, made.v[i]);
                if (args.add) made.v[i] += old.v[i];
            }
            *out = made;
        });
    }
}

KERNEL strip_forward_1x1_16(StripForwardArgs args) { strip_forward<1, 16>(args); }
KERNEL strip_forward_1x1_32(StripForwardArgs args) { strip_forward<1, 32>(args); }
KERNEL strip_forward_3x3_16(StripForwardArgs args) { strip_forward<9, 16>(args); }
KERNEL strip_forward_3x3_32(StripForwardArgs args) { strip_forward<9, 32>(args); }
KERNEL strip_backward_1x1_16(StripBackwardArgs args) { strip_backward<1, 16>(args); }
KERNEL strip_backward_1x1_32(StripBackwardArgs args) { strip_backward<1, 32>(args); }
KERNEL strip_backward_3x3_16(StripBackwardArgs args) { strip_backward<9, 16>(args); }
KERNEL strip_backward_3x3_32(StripBackwardArgs args) { strip_backward<9, 32>(args); }

// The gradient of weights between CHANNELS input and CHANNELS output channels. A warp sums up those between 16 and 16 channels: for 16
// channels, each warp a quarter of the pixels. Each block sums over a slab of strips.
template <int TAPS, int CHANNELS>
__device__ void strip_weights(const StripWeightArgs &strips) {
    // Columns of sixteen channels of a tap.
    const int HEIGHT = TAPS * 16;
    __shared__ union {
        struct {
            alignas(4 * sizeof(real)) real pixels[SLAB_WITH_BORDER(CHANNELS)][CHANNELS + 8];
            real gradient[SLAB_PIXELS(CHANNELS)][CHANNELS + 8];
        };
        real sums[HEIGHT][16];
    } tile;
    const WeightArgs &args = strips.conv;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int in = CHANNELS == 16 ? 0 : warp / 2 * 16, out = CHANNELS == 16 ? 0 : warp % 2 * 16;
    const int turn = CHANNELS == 16 ? WARPS : 1, begin = CHANNELS == 16 ? warp : 0;
    const int first_in = blockIdx.x * CHANNELS, first_out = blockIdx.y * CHANNELS, quad = threadIdx.x % (CHANNELS / 4) * 4;
    ValueReader value(args.value, args.stride_in, first_in + quad);
    GradientReader gradient(args.output_grad, args.stride_out, first_out + quad);
    real sum[TAPS][2][4] = {};
    const long long start = blockIdx.z * args.slab, end = start + args.slab < strips.count ? start + args.slab : strips.count;
    for (long long number = start; number < end; number++) {
        const Strip<TAPS> strip(strips.strips, number);
        value.start(strip.first);
        gradient.start(strip.first);
        copy_pixels<CHANNELS>(tile.pixels, strip.with_border(), value, [&](int place) { return strip.pixel(place); });
        copy_pixels<CHANNELS>(tile.gradient, SLAB_PIXELS(CHANNELS), gradient, [&](int place) {
            const int pixel = strip.number(place / 8, place % 8);
            return pixel < 0 ? OUTSIDE : pixel;
        });
        __syncthreads();
        const int octets = strip.octets();
        for (int pair = begin; pair * 2 < octets; pair += turn) {
            // The gradient of an octet that does not exist is zero.
            const int corners[2] = {strip.corner(pair * 2), strip.corner(pair * 2 + 1 < octets ? pair * 2 + 1 : pair * 2)};
            const RightFragment<16> one([&](int k, int column) { return tile.gradient[pair * 16 + k][out + column]; });
            const RightFragment<16> two([&](int k, int column) { return tile.gradient[pair * 16 + k][out + 8 + column]; });
#pragma unroll
            for (int tap = 0; tap < TAPS; tap++) {
                const int offset = strip.offset(tap);
                const LeftFragment<16> left([&](int row, int k) { return tile.pixels[corners[k / 8] + k % 8 + offset][in + row]; });
                multiply<16>(sum[tap][0], left, one);
                multiply<16>(sum[tap][1], left, two);
            }
        }
        __syncthreads();
    }
    const long long height = args.kernel.taps * args.kernel.channels_in;
    const int row = lane / 4, column = lane % 4 * 2;
    // The warps of sixteen channels add up their sums one after the other.
    for (int other = 1; other < turn; other++) {
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                real &place = tile.sums[tap * 16 + row + i / 2 % 2 * 8][column + i % 2 + i / 4 * 8];
                if (warp == other) place = sum[tap][i / 4][i % 4];
            }
        }
        __syncthreads();
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const real place = tile.sums[tap * 16 + row + i / 2 % 2 * 8][column + i % 2 + i / 4 * 8];
                if (warp == 0) sum[tap][i / 4][i % 4] += place;
            }
        }
        __syncthreads();
    }
    if (turn > 1 && warp > 0) return;
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int ci = first_in + in + row + i / 2 % 2 * 8, co = first_out + out + column + i % 2 + i / 4 * 8;
            if (ci >= args.kernel.channels_in || co >= args.stride_out) continue;
            args.partial[(blockIdx.z * height + tap * args.kernel.channels_in + ci) * args.stride_out + co] = sum[tap][i / 4][i % 4];
        }
    }
}

KERNEL strip_weights_1x1_16(StripWeightArgs args) { strip_weights<1, 16>(args); }
KERNEL strip_weights_1x1_32(StripWeightArgs args) { strip_weights<1, 32>(args); }
KERNEL strip_weights_3x3_16(StripWeightArgs args) { strip_weights<9, 16>(args); }
KERNEL strip_weights_3x3_32(StripWeightArgs args) { strip_weights<9, 32>(args); }
