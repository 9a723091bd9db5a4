// Copies of images to channels last, sums, multiples, and kernels that pass a gradient on.

KERNEL load(LoadArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.pixels_each * args.stride) return;
    const long long channel = i % args.stride, pixel = i / args.stride % args.pixels_each, image = i / args.stride / args.pixels_each;
    const bool there = channel < args.channels;
    args.out[i] = there ? (real)args.pixels[(image * args.channels + channel) * args.pixels_each + pixel] : 0;
}

KERNEL combine(CombineArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.rows * args.stride) return;
    const int channel = (int)(i % args.stride);
    Quad sum = zeros();
    const Value terms[4] = {args.first, args.second, args.third, args.fourth};
    for (int term = 0; term < 4; term++) {
        if (term >= args.count) break;
        Quad x = quad_of(terms[term], i, channel);
        for (int n = 0; n < 4; n++) sum.v[n] += x.v[n];
    }
    if (args.add) {
        Quad old = quad_at(args.out + i);
        for (int n = 0; n < 4; n++) sum.v[n] += old.v[n];
    }
    for (int n = 0; n < 4; n++) sum.v[n] = between(sum.v[n], (real)args.low, (real)args.high);
    put(args.out + i, sum, false);
}

KERNEL pass_through(PassThroughArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.rows * args.stride) return;
    Quad g = quad_at(args.gradient + i);
    if (args.made) {
        Quad made = quad_at(args.made + i);
        for (int n = 0; n < 4; n++) g.v[n] = made.v[n] > (real)args.low && made.v[n] < (real)args.high ? g.v[n] : 0;
    }
    put(args.out + i, g, args.add);
}

KERNEL total_gradient(TotalArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.rows * args.stride) return;
    put(args.out + i, quad_of(args.output_grad, i, (int)(i % args.stride)), false);
}

KERNEL multiple(MultipleArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.images * args.pixels * args.stride) return;
    const long long image = i / args.stride / args.pixels, channel = i % args.stride;
    Quad x = quad_of(args.value, i, (int)channel);
    for (int n = 0; n < 4; n++) {
        // Padding channels are zeros, whatever they are multiplied by.
        const long long row = channel + n < args.channels ? channel + n : 0;
        x.v[n] *= args.factors ? (real)args.factors[row * args.step + image * args.image_step] : (real)args.factor;
    }
    put(args.out + i, x, args.add);
}

KERNEL difference(DifferenceArgs args) {
    const long long first = blockIdx.x * args.slab, end = first + args.slab, last = end < args.rows ? end : args.rows;
    real sum = 0;
    for (long long i = first * args.stride + threadIdx.x; i < last * args.stride; i += BLOCK) {
        const int channel = (int)(i % args.stride);
        const real d = number_of(args.value, i, channel) - number_of(args.anchor, i, channel);
        args.out[i] = d;
        sum += d * d;
    }
    const double all = block_sum(sum);
    if (threadIdx.x == 0) args.partial[blockIdx.x] = all;
}

KERNEL scale_gradient(ScaleGradientArgs args) {
    const long long first = blockIdx.x * args.slab, end = first + args.slab, last = end < args.rows ? end : args.rows;
    real sum = 0;
    for (long long i = first * args.stride + threadIdx.x; i < last * args.stride; i += BLOCK) {
        const int channel = (int)(i % args.stride);
        if (channel < args.channels) sum += number_of(args.value, i, channel) * args.gradient[i];
    }
    const double all = block_sum(sum);
    if (threadIdx.x == 0) args.partial[blockIdx.x] = all;
}

KERNEL add_up(AddUpArgs args) {
    double sum = 0;
    for (long long i = threadIdx.x; i < args.count; i += BLOCK) sum += args.partial[i];
    const double all = block_sum(sum);
    if (threadIdx.x == 0) *args.out = all * args.factor;
}

KERNEL copy_channels(CopyArgs args) {
    const long long width = args.channels + args.fill, i = thread_number();
    if (i >= args.rows * width) return;
    const long long row = i / width, channel = i % width;
    const real x = channel < args.channels ? args.x[row * args.stride_in + args.from + channel] : 0;
    real *out = args.out + row * args.stride_out + args.to + channel;
    *out = args.add ? *out + x : x;
}
