// Copies images of an uploaded data set to channels last, normalised and augmented.

// Words of an augmented index: image, offset_y, offset_x, flipped, and the first and end row and column of the cutout.
#define INDEX_WORDS 8

KERNEL load_uploaded(LoadUploadedArgs args) {
    const long long pixels = args.height * args.width, i = thread_number();
    if (i >= args.images * pixels * args.stride) return;
    const int channel = (int)(i % args.stride);
    const Pixel pixel = pixel_of(i / args.stride, (int)args.height, (int)args.width);
    long long image = args.first + pixel.image;
    int y = pixel.y, x = pixel.x;
    bool zero = channel >= args.channels;
    if (args.indices) {
        const int *augmented = args.indices + (long long)INDEX_WORDS * pixel.image;
        image = augmented[0];
        zero = zero || (y >= augmented[4] && y < augmented[5] && x >= augmented[6] && x < augmented[7]);
        y += augmented[1];
        x = (augmented[3] ? (int)args.width - 1 - x : x) + augmented[2];
    }
    real value = 0;
    if (!zero) {
        const bool inside = y >= 0 && y < args.height && x >= 0 && x < args.width;
        const long long at = ((image * args.channels + channel) * args.height + y) * args.width + x;
        value = args.values[channel * 256 + (inside ? args.bytes[at] : 0)];
    }
    args.out[i] = value;
}
