// Images of a set that lies in memory as bytes, changed as it was drawn, to channels last.

// Numbers of a pick: place, down, right, flipped, first and last row and column of the hole.
#define PICK 8

KERNEL load_held(LoadHeldArgs args) {
    const long long pixels = args.height * args.width, i = thread_number();
    if (i >= args.images * pixels * args.stride) return;
    const int channel = (int)(i % args.stride);
    const Pixel pixel = pixel_of(i / args.stride, (int)args.height, (int)args.width);
    long long place = args.first + pixel.image;
    int y = pixel.y, x = pixel.x;
    bool hole = channel >= args.channels;
    if (args.picks) {
        const int *pick = args.picks + (long long)PICK * pixel.image;
        place = pick[0];
        hole = hole || (y >= pick[4] && y < pick[5] && x >= pick[6] && x < pick[7]);
        y += pick[1];
        x = (pick[3] ? (int)args.width - 1 - x : x) + pick[2];
    }
    real value = 0;
    if (!hole) {
        const bool inside = y >= 0 && y < args.height && x >= 0 && x < args.width;
        const long long at = ((place * args.channels + channel) * args.height + y) * args.width + x;
        value = args.values[channel * 256 + (inside ? args.bytes[at] : 0)];
    }
    args.out[i] = value;
}
