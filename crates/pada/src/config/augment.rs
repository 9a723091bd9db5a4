use pada_data::{Augment, LARGEST_MAGNITUDE};

use super::{ConfigError, DataConfig, check};

/// Checks the section `[augment]` against its ranges and the kind of images.
pub(super) fn check_augment(augment: &Augment, data: &DataConfig) -> Result<(), ConfigError> {
    let photographs = data.image_size.is_some();
    if let Some(size) = data.image_size {
        check("data.image_size", size, (1..=4096).contains(&size), "from 1 to 4096")?;
        let range = "0 for photographs, which use augment.resized_crop instead";
        check("augment.crop_padding", augment.crop_padding, augment.crop_padding == 0, range)?;
    }
    check(
        "data.damaged",
        "given",
        photographs || data.damaged.is_none(),
        "left out unless data.image_size is given",
    )?;
    if let Some(side) = augment.cutout {
        check("augment.cutout", side, side > 0, "at least 1, or left out")?;
    }
    if let Some(random) = augment.rand_augment {
        let only = augment.auto_augment.is_none();
        check("augment.rand_augment", "given", only, "left out if augment.auto_augment is given")?;
        check("augment.rand_augment.ops", random.ops, random.ops > 0, "at least 1")?;
        let inside = random.magnitude <= LARGEST_MAGNITUDE;
        check("augment.rand_augment.magnitude", random.magnitude, inside, "from 0 to 30")?;
    }
    let for_photographs = "left out unless the images are photographs with a data.image_size";
    if let Some(crop) = &augment.resized_crop {
        check("augment.resized_crop", "given", photographs, for_photographs)?;
        let [area, ratio] = [crop.area, crop.ratio];
        let is_range = |[low, high]: [f64; 2]| low > 0.0 && low <= high && high.is_finite();
        let shares = is_range(area) && area[1] <= 1.0;
        check(
            "augment.resized_crop.area",
            format!("{area:?}"),
            shares,
            "two numbers above 0 and up to 1, the smaller one first",
        )?;
        check(
            "augment.resized_crop.ratio",
            format!("{ratio:?}"),
            is_range(ratio),
            "two positive ratios, the smaller one first",
        )?;
    }
    if let Some(jitter) = &augment.color_jitter {
        check("augment.color_jitter", "given", photographs, for_photographs)?;
        let keys = [
            ("augment.color_jitter.brightness", jitter.brightness),
            ("augment.color_jitter.contrast", jitter.contrast),
            ("augment.color_jitter.saturation", jitter.saturation),
        ];
        for (key, strength) in keys {
            check(key, strength, strength >= 0.0 && strength.is_finite(), "at least 0")?;
        }
        check("augment.color_jitter.hue", jitter.hue, (0.0..=0.5).contains(&jitter.hue), "from 0 to 0.5")?;
    }
    Ok(())
}
