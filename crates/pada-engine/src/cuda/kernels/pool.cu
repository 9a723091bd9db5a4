// Pooling with square windows. The border is never counted and never the maximum. In the backward pass every input pixel sums over the windows that cover it.

// The part of a window that lies inside, in one direction.
struct Span {
    int first, last;
    __device__ int len() const { return last - first; }
};

__device__ inline Span covered(const Window &w, int out, int size) {
    const int start = out * (int)w.step_y - (int)w.border_y, end = start + (int)w.kernel;
    Span span = {start < 0 ? 0 : start, end < size ? end : size};
    return span;
}

// The windows that cover an input pixel, in one direction.
__device__ inline Span covering(const Window &w, int in, int out_size) {
    const int step = (int)w.step_y, reach = in + (int)w.border_y - (int)w.kernel + 1, last = (in + (int)w.border_y) / step + 1;
    Span span = {reach <= 0 ? 0 : (reach + step - 1) / step, last < out_size ? last : out_size};
    return span;
}

KERNEL average_pool(PoolArgs args) {
    const Window &w = args.window;
    const long long i = thread_number() * 4;
    if (i >= args.images * w.out_height * w.out_width * args.stride) return;
    const int channel = (int)(i % args.stride);
    const Pixel pixel = pixel_of(i / args.stride, (int)w.out_height, (int)w.out_width);
    const Span rows = covered(w, pixel.y, (int)w.height), columns = covered(w, pixel.x, (int)w.width);
    Quad sum = zeros();
    for (int y = rows.first; y < rows.last; y++) {
        for (int x = columns.first; x < columns.last; x++) {
            Quad q = quad_at(args.x + ((pixel.image * w.height + y) * w.width + x) * args.stride + channel);
            for (int n = 0; n < 4; n++) sum.v[n] += q.v[n];
        }
    }
    const real share = (real)1 / (rows.len() * columns.len());
    for (int n = 0; n < 4; n++) sum.v[n] *= share;
    put(args.out + i, sum, args.add);
}

KERNEL average_pool_gradient(PoolArgs args) {
    const Window &w = args.window;
    const long long i = thread_number() * 4;
    if (i >= args.images * w.height * w.width * args.stride) return;
    const int channel = (int)(i % args.stride);
    const Pixel pixel = pixel_of(i / args.stride, (int)w.height, (int)w.width);
    const Span rows = covering(w, pixel.y, (int)w.out_height), columns = covering(w, pixel.x, (int)w.out_width);
    Quad sum = zeros();
    for (int y = rows.first; y < rows.last; y++) {
        for (int x = columns.first; x < columns.last; x++) {
            Quad g = quad_at(args.gradient + ((pixel.image * w.out_height + y) * w.out_width + x) * args.stride + channel);
            const real share = (real)1 / (covered(w, y, (int)w.height).len() * covered(w, x, (int)w.width).len());
            for (int n = 0; n < 4; n++) sum.v[n] += g.v[n] * share;
        }
    }
    put(args.out + i, sum, args.add);
}

// The offset of the first maximum of a window. NaN counts as the largest number, so that it is propagated.
__device__ inline long long largest(const PoolArgs &args, int image, int out_y, int out_x, int channel) {
    const Window &w = args.window;
    const Span rows = covered(w, out_y, (int)w.height), columns = covered(w, out_x, (int)w.width);
    long long best = -1;
    for (int y = rows.first; y < rows.last; y++) {
        for (int x = columns.first; x < columns.last; x++) {
            const long long place = ((image * w.height + y) * w.width + x) * args.stride + channel;
            if (best < 0 || args.x[place] > args.x[best] || args.x[place] != args.x[place]) best = place;
        }
    }
    return best;
}

KERNEL max_pool(PoolArgs args) {
    const Window &w = args.window;
    const long long i = thread_number();
    if (i >= args.images * w.out_height * w.out_width * args.stride) return;
    const Pixel pixel = pixel_of(i / args.stride, (int)w.out_height, (int)w.out_width);
    args.out[i] = args.x[largest(args, pixel.image, pixel.y, pixel.x, (int)(i % args.stride))];
}

KERNEL max_pool_gradient(PoolArgs args) {
    const Window &w = args.window;
    const long long i = thread_number();
    if (i >= args.images * w.height * w.width * args.stride) return;
    const int channel = (int)(i % args.stride);
    const Pixel pixel = pixel_of(i / args.stride, (int)w.height, (int)w.width);
    const Span rows = covering(w, pixel.y, (int)w.out_height), columns = covering(w, pixel.x, (int)w.out_width);
    real sum = 0;
    for (int y = rows.first; y < rows.last; y++) {
        for (int x = columns.first; x < columns.last; x++) {
            if (largest(args, pixel.image, y, x, channel) != i) continue;
            sum += args.gradient[((pixel.image * w.out_height + y) * w.out_width + x) * args.stride + channel];
        }
    }
    args.out[i] = args.add ? args.out[i] + sum : sum;
}
