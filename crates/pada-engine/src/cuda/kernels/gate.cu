// The gate of squeeze-and-excitation: a value times the sigmoid of a vector, channel by channel.

__device__ inline real sigmoid(real x) { return (real)(1.0 / (1.0 + exp(-(double)x))); }

KERNEL gate(GateArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.pixels * args.stride) return;
    const int channel = (int)(i % args.stride);
    const long long image = i / args.stride / args.pixels;
    args.out[i] = number_of(args.value, i, channel) * sigmoid(args.gate[image * args.stride_gate + channel]);
}

// The gradient of the value.
KERNEL gated_gradient(GateArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.pixels * args.stride) return;
    const int channel = (int)(i % args.stride);
    const long long image = i / args.stride / args.pixels;
    real g = args.gradient[i] * sigmoid(args.gate[image * args.stride_gate + channel]);
    const real x = normalised(args.value, args.value.x[i], channel);
    // Without an activation every gradient passes, also where x is NaN.
    const bool cut = args.value.low == 0 && !(x > (real)args.value.low && x < (real)args.value.high);
    if (cut) g = 0;
    args.out[i] = args.add ? args.out[i] + g : g;
}

// The gradient of the vector before its sigmoid.
KERNEL gate_gradient(GateArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.stride_gate) return;
    const int channel = (int)(i % args.stride_gate);
    const long long image = i / args.stride_gate;
    real sum = 0;
    for (long long pixel = 0; pixel < args.pixels; pixel++) {
        const long long place = (image * args.pixels + pixel) * args.stride + channel;
        sum += args.gradient[place] * number_of(args.value, place, channel);
    }
    const real share = sigmoid(args.gate[i]);
    const real g = sum * share * (1 - share);
    args.out[i] = args.add ? args.out[i] + g : g;
}
