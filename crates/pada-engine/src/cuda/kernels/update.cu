// The effect of an update on a tensor, with the values of weights.rs.
#define STAYS 0
#define MOVES 1

// All weights are in one flat list, divided into pieces of one tensor each. One block updates one piece.

KERNEL update(UpdateArgs args) {
    const int *piece = args.pieces + 3 * blockIdx.x;
    const int moves = args.moves[piece[0]];
    if (moves == STAYS) return;
    const float decay = moves == MOVES ? (float)args.decay : 0;
    for (int i = threadIdx.x; i < piece[2]; i += BLOCK) {
        const long long at = (long long)piece[1] + i;
        const float direction = (float)args.scale * args.gradient[at] + decay * args.weights[at];
        const float momentum = (float)args.keep * args.momentum[at] + direction;
        args.momentum[at] = momentum;
        args.weights[at] -= (float)args.lr * (args.nesterov ? direction + (float)args.keep * momentum : momentum);
    }
}

// RMSprop of PyTorch, or of TensorFlow if `tensorflow` is set, as `RmsPropForm` defines them.
KERNEL update_rms_prop(RmsPropArgs args) {
    const int *piece = args.pieces + 3 * blockIdx.x;
    const int moves = args.moves[piece[0]];
    if (moves == STAYS) return;
    const float decay = moves == MOVES ? (float)args.decay : 0;
    const float alpha = (float)args.alpha, eps = (float)args.eps, lr = (float)args.lr;
    for (int i = threadIdx.x; i < piece[2]; i += BLOCK) {
        const long long at = (long long)piece[1] + i;
        const float direction = (float)args.scale * args.gradient[at] + decay * args.weights[at];
        const float second = alpha * args.second[at] + (1 - alpha) * direction * direction;
        const float move = args.tensorflow ? lr * direction / sqrtf(second + eps) : direction / (sqrtf(second) + eps);
        const float momentum = (float)args.keep * args.momentum[at] + move;
        args.second[at] = second;
        args.momentum[at] = momentum;
        args.weights[at] -= args.tensorflow ? momentum : lr * momentum;
    }
}

KERNEL squares(SquaresArgs args) {
    const int *piece = args.pieces + 3 * blockIdx.x;
    double sum = 0;
    for (int i = threadIdx.x; i < piece[2]; i += BLOCK) {
        const double g = args.gradient[(long long)piece[1] + i];
        sum += g * g;
    }
    const double all = block_sum(sum);
    if (threadIdx.x == 0) args.partial[blockIdx.x] = all;
}

KERNEL tensor_norms(TensorNormsArgs args) {
    const long long tensor = thread_number();
    if (tensor >= args.tensors) return;
    double sum = 0;
    for (int piece = args.firsts[tensor]; piece < args.firsts[tensor + 1]; piece++) sum += args.partial[piece];
    args.out[tensor] = sqrt(sum);
}
