// The loss with the gradient of the logits, and the results of a pass that the host reads.

KERNEL cross_entropy(CrossEntropyArgs args) {
    const long long image = thread_number();
    if (image >= args.images) return;
    const real *row = args.logits + image * args.stride;
    const int label = args.labels[image];
    double largest = (float)row[0], sum = 0;
    for (int k = 1; k < args.classes; k++) largest = (float)row[k] > largest ? (float)row[k] : largest;
    for (int k = 0; k < args.classes; k++) sum += exp((float)row[k] - largest);
    if (args.losses) args.losses[image] = log(sum) - ((float)row[label] - largest);
    const double weight = args.image_weights ? args.image_weights[image] : 1, factor = args.scale * weight / args.images;
    real *out = args.output_grad + image * args.stride;
    for (int k = 0; k < args.stride; k++) {
        real grad = 0;
        if (k < args.classes) {
            const double target = (k == label ? 1 - args.smoothing : 0) + args.smoothing / args.classes;
            grad = (real)(factor * (exp((float)row[k] - largest) / sum - target));
        }
        out[k] = args.add ? out[k] + grad : grad;
    }
}

KERNEL read_logits(LogitsArgs args) {
    const long long i = thread_number();
    if (i >= args.images * args.classes) return;
    args.out[i] = (float)args.logits[i / args.classes * args.stride + i % args.classes];
}

// Runs as one block. The first of equal logits is the prediction, as on the host.
KERNEL count_correct(CountArgs args) {
    double right = 0;
    for (long long image = threadIdx.x; image < args.images; image += BLOCK) {
        const real *row = args.logits + image * args.stride;
        int best = 0;
        for (int k = 1; k < args.classes; k++) best = (float)row[k] > (float)row[best] ? k : best;
        right += best == args.labels[image];
    }
    const double all = block_sum(right);
    if (threadIdx.x == 0) *args.count += all;
}

KERNEL feature_norms(NormsArgs args) {
    const long long image = thread_number();
    if (image >= args.images) return;
    double sum = 0;
    for (long long i = 0; i < args.len; i++) {
        const double x = (float)args.x[image * args.len + i];
        sum += x * x;
    }
    args.out[image] = (float)sqrt(sum);
}
