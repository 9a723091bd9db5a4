// Statistics of batch norms: sums over slabs of rows, combined in their order. The gradient of a bias is summed in the same manner.

// Lanes that combine the slabs of one channel, and channels per block.
#define LANES 32
#define CHANNELS (BLOCK / LANES)

struct Columns {
    int lane, column, channel;
    long long first, last;

    __device__ Columns(long long rows, long long slab) {
        lane = threadIdx.x / SIDE;
        column = threadIdx.x % SIDE;
        channel = blockIdx.x * SIDE + column;
        first = blockIdx.y * slab;
        last = first + slab < rows ? first + slab : rows;
    }
};

// Sums are shifted by the slab's first row, which avoids cancellation in the variance.
KERNEL moments(MomentsArgs args) {
    __shared__ Moments shared[SIDE][SIDE];
    const Columns at(args.rows, args.slab);
    const bool inside = at.channel < args.stride;
    const real shift = inside ? args.x[at.first * args.stride + at.channel] : 0;
    real plain = 0, squares = 0;
    double count = 0;
    for (long long row = at.first + at.lane; inside && row < at.last; row += SIDE) {
        const real x = args.x[row * args.stride + at.channel] - shift;
        plain += x;
        squares += x * x;
        count += 1;
    }
    Moments own = {count, 0, 0};
    if (count > 0) {
        const double spread = squares - (double)plain * plain / count;
        own.mean = shift + plain / count;
        own.spread = spread > 0 || spread != spread ? spread : 0;
    }
    shared[at.lane][at.column] = own;
    __syncthreads();
    if (at.lane > 0 || !inside) return;
    for (int other = 1; other < SIDE; other++) own = joined(own, shared[other][at.column]);
    double *out = args.partial + (long long)blockIdx.y * 2 * args.stride + at.channel;
    out[0] = own.mean;
    out[args.stride] = own.spread;
}

// Sets the coefficients of a channel from its mean and variance, and returns 1/√(variance + eps).
__device__ inline double set_norm(
    real *mean, real *scale, real *shift, const float *gamma, const float *beta, double eps, int channel, double m, double variance
) {
    const double inv_std = 1 / sqrt(variance + eps);
    mean[channel] = (real)m;
    scale[channel] = (real)(gamma ? inv_std * gamma[channel] : inv_std);
    shift[channel] = (real)(beta ? beta[channel] : 0);
    return inv_std;
}

KERNEL finalize_stats(FinalizeStatsArgs args) {
    __shared__ Moments shared[CHANNELS][LANES];
    const int lane = threadIdx.x % LANES, own = threadIdx.x / LANES, channel = blockIdx.x * CHANNELS + own;
    Moments all = {0, 0, 0};
    const long long slabs = (args.rows + args.slab - 1) / args.slab;
    for (long long slab = lane; channel < args.channels && slab < slabs; slab += LANES) {
        const double *in = args.partial + slab * 2 * args.stride + channel;
        const long long rest = args.rows - slab * args.slab;
        Moments part = {(double)(rest < args.slab ? rest : args.slab), in[0], in[args.stride]};
        all = joined(all, part);
    }
    shared[own][lane] = all;
    __syncthreads();
    if (lane > 0 || channel >= args.channels) return;
    for (int other = 1; other < LANES; other++) all = joined(all, shared[own][other]);
    const double variance = all.spread / all.count;
    args.inv_std[channel] = set_norm(
        args.mean, args.scale, args.shift, args.gamma, args.beta, args.eps, channel, all.mean, variance);
    if (!args.running_mean) return;
    const double unbiased = all.count / ((all.count > 2 ? all.count : 2) - 1);
    float *mean = args.running_mean + channel, *var = args.running_var + channel;
    *mean = (float)((1 - args.share) * *mean + args.share * all.mean);
    *var = (float)((1 - args.share) * *var + args.share * unbiased * variance);
}

KERNEL running(RunningArgs args) {
    const int channel = (int)thread_number();
    if (channel >= args.channels) return;
    set_norm(args.mean, args.scale, args.shift, args.gamma, args.beta, args.eps, channel, args.running_mean[channel],
             args.running_var[channel]);
}

KERNEL gradient_sums(SumsArgs args) {
    __shared__ real shared[2][SIDE][SIDE];
    const Columns at(args.rows, args.slab);
    const bool inside = at.channel < args.stride;
    const real mean = inside ? args.mean[at.channel] : 0;
    real plain = 0, product = 0;
    for (long long row = at.first + at.lane; inside && row < at.last; row += SIDE) {
        const long long place = row * args.stride + at.channel;
        plain += args.g[place];
        product += args.g[place] * (args.y[place] - mean);
    }
    shared[0][at.lane][at.column] = plain;
    shared[1][at.lane][at.column] = product;
    __syncthreads();
    if (at.lane > 0 || !inside) return;
    double sums[2] = {0, 0};
    for (int lane = 0; lane < SIDE; lane++) {
        for (int part = 0; part < 2; part++) sums[part] += shared[part][lane][at.column];
    }
    double *out = args.partial + (long long)blockIdx.y * 2 * args.stride + at.channel;
    out[0] = sums[0];
    out[args.stride] = sums[1];
}

KERNEL finalize_norm_gradient(FinalizeNormGradientArgs args) {
    __shared__ double shared[2][CHANNELS][LANES];
    const int lane = threadIdx.x % LANES, own = threadIdx.x / LANES, channel = blockIdx.x * CHANNELS + own;
    double plain = 0, product = 0;
    for (long long slab = lane; channel < args.channels && slab < args.slabs; slab += LANES) {
        const double *in = args.partial + slab * 2 * args.stride + channel;
        plain += in[0];
        product += in[args.stride];
    }
    shared[0][own][lane] = plain;
    shared[1][own][lane] = product;
    __syncthreads();
    if (lane > 0 || channel >= args.channels) return;
    for (int other = 1; other < LANES; other++) {
        plain += shared[0][own][other];
        product += shared[1][own][other];
    }
    const double inv_std = args.inv_std[channel], scale = args.scale[channel], count = (double)args.rows;
    args.b[channel] = (real)(-scale * inv_std * inv_std * product / count);
    args.c[channel] = (real)(-scale * plain / count);
    if (!args.gamma) return;
    args.gamma[channel] += (float)(inv_std * product);
    args.beta[channel] += (float)plain;
}

KERNEL column_sums(ColumnArgs args) {
    __shared__ real shared[SIDE][SIDE];
    const Columns at(args.rows, args.slab);
    const bool inside = at.channel < args.stride;
    real sum = 0;
    for (long long row = at.first + at.lane; inside && row < at.last; row += SIDE) {
        sum += number_of(args.output_grad, row * args.stride + at.channel, at.channel);
    }
    shared[at.lane][at.column] = sum;
    __syncthreads();
    if (at.lane > 0 || !inside) return;
    double all = 0;
    for (int lane = 0; lane < SIDE; lane++) all += shared[lane][at.column];
    args.partial[blockIdx.y * args.stride + at.channel] = all;
}

KERNEL add_columns(AddColumnsArgs args) {
    const long long channel = thread_number();
    if (channel >= args.channels) return;
    double sum = 0;
    for (long long slab = 0; slab < args.slabs; slab++) sum += args.partial[slab * args.stride + channel];
    args.gradient[channel] += (float)sum;
}
