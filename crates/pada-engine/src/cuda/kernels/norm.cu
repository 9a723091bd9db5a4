// Statistics of batch norms: sums over slabs of rows, combined in their order. The gradient of a bias is summed in the same manner.

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

// The sum over all threads of a block, in the order of a tree.
__device__ inline double block_sum(double own) {
    __shared__ double shared[BLOCK];
    __syncthreads();
    shared[threadIdx.x] = own;
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    __syncthreads();
    return shared[0];
}

// One block per channel.
KERNEL finalize_stats(FinalizeStatsArgs args) {
    const int channel = blockIdx.x;
    const long long slabs = (args.rows + args.slab - 1) / args.slab;
    double own = 0;
    for (long long slab = threadIdx.x; slab < slabs; slab += BLOCK) {
        const long long rest = args.rows - slab * args.slab;
        own += (rest < args.slab ? rest : args.slab) * args.partial[slab * 2 * args.stride + channel];
    }
    const double count = (double)args.rows, all_mean = block_sum(own) / count;
    own = 0;
    for (long long slab = threadIdx.x; slab < slabs; slab += BLOCK) {
        const double *in = args.partial + slab * 2 * args.stride + channel;
        const long long rest = args.rows - slab * args.slab;
        const double distance = in[0] - all_mean;
        own += in[args.stride] + (rest < args.slab ? rest : args.slab) * distance * distance;
    }
    const Moments all = {count, all_mean, block_sum(own)};
    if (threadIdx.x > 0) return;
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

// One block per channel.
KERNEL finalize_norm_gradient(FinalizeNormGradientArgs args) {
    const int channel = blockIdx.x;
    double own[2] = {0, 0};
    for (long long slab = threadIdx.x; slab < args.slabs; slab += BLOCK) {
        const double *in = args.partial + slab * 2 * args.stride + channel;
        own[0] += in[0];
        own[1] += in[args.stride];
    }
    const double plain = block_sum(own[0]), product = block_sum(own[1]);
    if (threadIdx.x > 0) return;
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
