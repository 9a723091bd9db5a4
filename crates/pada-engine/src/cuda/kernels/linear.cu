// Linear layers. They read a feature map in the order [C, H, W].

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
