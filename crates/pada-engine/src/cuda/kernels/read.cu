// Values and gradients as operations read them: norms and activations have no memory of their own.

__device__ inline real normalised(const Value &value, real x, int channel) {
    return value.mean ? (x - value.mean[channel]) * value.scale[channel] + value.shift[channel] : x;
}

__device__ inline real number_of(const Value &value, long long place, int channel) {
    return between(normalised(value, value.x[place], channel), (real)value.low, (real)value.high);
}

__device__ inline Quad quad_of(const Value &value, long long place, int channel) {
    Quad x = quad_at(value.x + place);
    if (value.mean) {
        Quad mean = quad_at(value.mean + channel), scale = quad_at(value.scale + channel), shift = quad_at(value.shift + channel);
        for (int i = 0; i < 4; i++) x.v[i] = (x.v[i] - mean.v[i]) * scale.v[i] + shift.v[i];
    }
    for (int i = 0; i < 4; i++) x.v[i] = between(x.v[i], (real)value.low, (real)value.high);
    return x;
}

// The gradient of an output. a · after + b · (y − mean) + c is the gradient of a norm with batch statistics with respect to its input.
__device__ inline Quad quad_of(const OutputGrad &output_grad, long long place, int channel) {
    Quad g = zeros();
    if (output_grad.after) {
        Quad after = quad_at(output_grad.after + place), y = quad_at(output_grad.y + place), mean = quad_at(output_grad.mean + channel);
        Quad a = quad_at(output_grad.a + channel), b = quad_at(output_grad.b + channel), c = quad_at(output_grad.c + channel);
        for (int i = 0; i < 4; i++) g.v[i] = after.v[i] * a.v[i] + ((y.v[i] - mean.v[i]) * b.v[i] + c.v[i]);
    }
    if (output_grad.direct) {
        Quad direct = quad_at(output_grad.direct + place);
        for (int i = 0; i < 4; i++) g.v[i] += direct.v[i];
    }
    return g;
}

__device__ inline real number_of(const OutputGrad &output_grad, long long place, int channel) {
    real g = 0;
    if (output_grad.after) {
        const real distance = output_grad.y[place] - output_grad.mean[channel];
        g = output_grad.after[place] * output_grad.a[channel] + (distance * output_grad.b[channel] + output_grad.c[channel]);
    }
    return output_grad.direct ? g + output_grad.direct[place] : g;
}

// A pixel of a batch.
struct Pixel {
    int image, y, x;
};

__device__ inline Pixel pixel_of(long long row, int height, int width) {
    int rest = (int)(row % ((long long)height * width));
    Pixel pixel = {(int)(row / ((long long)height * width)), rest / width, rest % width};
    return pixel;
}

// The row that a tap reads of the input; -1 outside.
__device__ inline long long input_row(const Window &w, Pixel out, int ky, int kx) {
    long long y = out.y * w.step_y + ky * w.dilation - w.border_y, x = out.x * w.step_x + kx * w.dilation - w.border_x;
    return y >= 0 && y < w.height && x >= 0 && x < w.width ? (out.image * w.height + y) * w.width + x : -1;
}

// The row of the output that reads a pixel of the input through a tap; -1 if none does.
__device__ inline long long output_row(const Window &w, Pixel in, int ky, int kx) {
    long long y = in.y + w.border_y - ky * w.dilation, x = in.x + w.border_x - kx * w.dilation;
    if (y < 0 || x < 0 || y % w.step_y || x % w.step_x) return -1;
    y /= w.step_y;
    x /= w.step_x;
    return y < w.out_height && x < w.out_width ? (in.image * w.out_height + y) * w.out_width + x : -1;
}

// A weight of a dense convolution; zero between groups.
__device__ inline real weight_of(const Kernel &kernel, int tap, int channel_in, int channel_out) {
    int group_in = (int)(kernel.channels_in / kernel.groups), group_out = (int)(kernel.channels_out / kernel.groups);
    if (channel_in >= kernel.channels_in || channel_out >= kernel.channels_out) return 0;
    if (kernel.groups > 1 && channel_in / group_in != channel_out / group_out) return 0;
    return kernel.weights[((long long)channel_out * group_in + channel_in % group_in) * kernel.taps + tap];
}

// A gradient where an activation let its input through, 0 elsewhere.
__device__ inline real unless_cut(const Value &mask, long long place, int channel, real gradient) {
    if (!mask.x) return gradient;
    real x = normalised(mask, mask.x[place], channel);
    return x > (real)mask.low && x < (real)mask.high ? gradient : 0;
}

// Count, mean and sum of squared distances to the mean.
struct Moments {
    double count, mean, spread;
};

// Chan, Golub & LeVeque (1979).
__device__ inline Moments joined(Moments a, Moments b) {
    if (b.count == 0) return a;
    if (a.count == 0) return b;
    double count = a.count + b.count, distance = b.mean - a.mean;
    Moments both = {count, a.mean + distance * b.count / count, a.spread + b.spread + distance * distance * a.count * b.count / count};
    return both;
}
