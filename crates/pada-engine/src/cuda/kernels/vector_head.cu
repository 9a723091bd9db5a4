// From maps to vectors: the mean over all pixels, and linear layers, which read a map channel by channel.

KERNEL global_pool(GlobalArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.stride_out) return;
    const long long image = i / args.stride_out;
    const int channel = (int)(i % args.stride_out);
    real sum = 0;
    for (long long pixel = 0; channel < args.stride && pixel < args.pixels; pixel++) {
        sum += number_of(args.value, (image * args.pixels + pixel) * args.stride + channel, channel);
    }
    args.out[i] = sum * (real)(1.0 / args.pixels);
}

KERNEL global_pool_gradient(GlobalArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.pixels * args.stride) return;
    const int channel = (int)(i % args.stride);
    const long long image = i / args.stride / args.pixels;
    real g = channel < args.stride_out ? args.gradient[image * args.stride_out + channel] * (real)(1.0 / args.pixels) : 0;
    const real x = normalised(args.value, args.value.x[i], channel);
    // Without an activation everything passes, also what is no number.
    const bool cut = args.value.low == 0 && !(x > (real)args.value.low && x < (real)args.value.high);
    if (cut) g = 0;
    args.out[i] = args.add ? args.out[i] + g : g;
}

KERNEL linear(LinearArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.stride_out) return;
    const long long image = i / args.stride_out, k = i % args.stride_out, len = args.channels * args.pixels;
    double sum = 0;
    if (k < args.outputs) {
        for (long long f = 0; f < len; f++) {
            const long long channel = f / args.pixels, pixel = f % args.pixels;
            sum += (double)args.weights[k * len + f] * args.x[(image * args.pixels + pixel) * args.stride_in + channel];
        }
        sum += args.bias[k];
    }
    args.out[i] = (real)sum;
}

KERNEL linear_gradient(LinearArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.pixels * args.stride_in) return;
    const long long channel = i % args.stride_in, row = i / args.stride_in, pixel = row % args.pixels, image = row / args.pixels;
    const long long len = args.channels * args.pixels;
    double sum = 0;
    for (long long k = 0; channel < args.channels && k < args.outputs; k++) {
        sum += (double)args.gradient[image * args.stride_out + k] * args.weights[k * len + channel * args.pixels + pixel];
    }
    args.out[i] = args.add ? args.out[i] + (real)sum : (real)sum;
}

KERNEL linear_weights(LinearWeightArgs args) {
    const long long i = thread_number(), len = args.channels * args.pixels;
    if (i >= args.outputs * (len + 1)) return;
    const long long k = i / (len + 1), f = i % (len + 1), channel = f / args.pixels, pixel = f % args.pixels;
    double sum = 0;
    for (long long image = 0; image < args.images; image++) {
        const double g = args.gradient[image * args.stride_out + k];
        sum += f == len ? g : g * args.x[(image * args.pixels + pixel) * args.stride_in + channel];
    }
    if (f == len) args.bias[k] += (float)sum;
    else args.weights[k * len + f] += (float)sum;
}
