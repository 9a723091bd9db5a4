// Depthwise convolutions.

KERNEL depthwise_forward(ForwardArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.rows * args.stride_out) return;
    const int channel = (int)(i % args.stride_out), k = (int)args.window.kernel;
    const Pixel pixel = pixel_of(i / args.stride_out, (int)args.window.out_height, (int)args.window.out_width);
    Quad sum = zeros();
    for (int tap = 0; tap < args.kernel.taps; tap++) {
        const long long row = input_row(args.window, pixel, tap / k, tap % k);
        if (row < 0) continue;
        Quad x = quad_of(args.value, row * args.stride_in + channel, channel);
        for (int n = 0; n < 4; n++) {
            if (channel + n < args.kernel.channels_in) sum.v[n] += x.v[n] * args.kernel.weights[(channel + n) * args.kernel.taps + tap];
        }
    }
    for (int n = 0; n < 4; n++) {
        if (args.bias && channel + n < args.kernel.channels_in) sum.v[n] += args.bias[channel + n];
    }
    put(args.out + i, sum, false);
}

KERNEL depthwise_backward(BackwardArgs args) {
    const long long i = thread_number() * 4;
    if (i >= args.rows * args.stride_in) return;
    const int channel = (int)(i % args.stride_in), k = (int)args.window.kernel;
    const Pixel pixel = pixel_of(i / args.stride_in, (int)args.window.height, (int)args.window.width);
    Quad sum = zeros();
    for (int tap = 0; tap < args.kernel.taps; tap++) {
        const long long row = output_row(args.window, pixel, tap / k, tap % k);
        if (row < 0) continue;
        Quad g = quad_of(args.output_grad, row * args.stride_out + channel, channel);
        for (int n = 0; n < 4; n++) {
            if (channel + n < args.kernel.channels_in) sum.v[n] += g.v[n] * args.kernel.weights[(channel + n) * args.kernel.taps + tap];
        }
    }
    for (int n = 0; n < 4; n++) sum.v[n] = unless_cut(args.mask, i + n, channel + n, sum.v[n]);
    put(args.out + i, sum, args.add);
}

// Channels and rows that the threads of a block sum side by side.
#define SIDE 16

// One tap and a slab of pixels for each block.
KERNEL depthwise_weights(WeightArgs args) {
    __shared__ real sums[SIDE][SIDE];
    const int lane = threadIdx.x / SIDE, column = threadIdx.x % SIDE, channel = blockIdx.x * SIDE + column;
    const int tap = blockIdx.y, k = (int)args.window.kernel;
    const long long first = blockIdx.z * args.slab, end = first + args.slab, last = end < args.rows ? end : args.rows;
    real sum = 0;
    for (long long row = first + lane; channel < args.stride_out && row < last; row += SIDE) {
        const Pixel pixel = pixel_of(row, (int)args.window.out_height, (int)args.window.out_width);
        const long long at = input_row(args.window, pixel, tap / k, tap % k);
        if (at < 0) continue;
        const real g = number_of(args.output_grad, row * args.stride_out + channel, channel);
        sum += number_of(args.value, at * args.stride_in + channel, channel) * g;
    }
    sums[lane][column] = sum;
    __syncthreads();
    if (lane > 0 || channel >= args.stride_out) return;
    for (int other = 1; other < SIDE; other++) sum += sums[other][column];
    args.partial[(blockIdx.z * args.kernel.taps + tap) * args.stride_out + channel] = sum;
}

// Adds the sums of all slabs, in their order, to the gradient.
KERNEL add_depthwise_weights(AddWeightsArgs args) {
    const long long i = thread_number(), len = args.kernel.taps * args.stride_out;
    if (i >= len) return;
    const long long channel = i % args.stride_out, tap = i / args.stride_out;
    if (channel >= args.kernel.channels_out) return;
    double sum = 0;
    for (long long slab = 0; slab < args.slabs; slab++) sum += args.partial[slab * len + i];
    args.gradient[channel * args.kernel.taps + tap] += (float)sum;
}
