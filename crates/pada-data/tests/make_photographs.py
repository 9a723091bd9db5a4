"""Makes the files of tests/photographs and prints the golden values of src/jitter.rs.

pip install pillow numpy torch torchvision   (made with Pillow 13.0, torch 2.15, torchvision 0.29)
python tests/make_photographs.py
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image

HERE = Path(__file__).parent / "photographs"
HEIGHT, WIDTH = 61, 83


def picture():
    """Soft colours with two edges."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red = 127 + 100 * np.sin(x / 9) * np.cos(y / 13)
    green = 127 + 110 * np.cos((x + y) / 17)
    blue = 255 * x / WIDTH
    rgb = np.stack([red, green, blue], axis=-1)
    rgb[15:30, 20:50] = [200, 40, 60]
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def main():
    rgb = picture()
    HERE.mkdir(exist_ok=True)
    rgb.save(HERE / "colour.jpeg", quality=85)
    rgb.save(HERE / "progressive.jpeg", quality=85, progressive=True)
    rgb.convert("L").save(HERE / "grey.jpeg", quality=85)
    rgb.convert("CMYK").save(HERE / "inks.jpeg", quality=95)
    rgb.save(HERE / "colour.png")
    rgba = rgb.copy()
    rgba.putalpha(128)
    rgba.save(HERE / "transparent.png")
    rgb.convert("LA").save(HERE / "grey.png")
    rgb.quantize(64).save(HERE / "palette.png")
    whole = (HERE / "colour.jpeg").read_bytes()
    (HERE / "cut.jpeg").write_bytes(whole[: len(whole) // 2])

    # What Pillow makes of them, without loss.
    for name in ["colour", "progressive", "grey", "inks"]:
        Image.open(HERE / f"{name}.jpeg").convert("RGB").save(HERE / f"pillow-{name}.png")
    for name in ["grey", "palette"]:
        Image.open(HERE / f"{name}.png").convert("RGB").save(HERE / f"pillow-{name}-png.png")
    box = (5, 7, 5 + 60, 7 + 40)
    rgb.resize((24, 16), Image.BILINEAR, box=box).save(HERE / "pillow-smaller.png")
    rgb.resize((120, 100), Image.BILINEAR, box=box).save(HERE / "pillow-larger.png")

    pixels = [[10, 200, 90], [255, 0, 0], [128, 128, 128], [3, 7, 250], [240, 230, 20], [0, 0, 0]]
    image = torch.tensor(pixels, dtype=torch.float64).T.reshape(3, 2, 3) / 255
    changes = [
        ("Brightness", 1.4, F.adjust_brightness),
        ("Contrast", 0.6, F.adjust_contrast),
        ("Saturation", 1.3, F.adjust_saturation),
        ("Hue", 0.2, F.adjust_hue),
        ("Hue", -0.1, F.adjust_hue),
    ]
    for name, value, adjust in changes:
        out = (adjust(image, value) * 255).reshape(3, 6).T
        print(f"{name}({value})", json.dumps([[round(v, 3) for v in row] for row in out.tolist()]))


if __name__ == "__main__":
    main()
