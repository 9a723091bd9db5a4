// The mean over all pixels.

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
    // Without an activation every gradient passes, also where x is NaN.
    const bool cut = args.value.low == 0 && !(x > (real)args.value.low && x < (real)args.value.high);
    if (cut) g = 0;
    args.out[i] = args.add ? args.out[i] + g : g;
}
