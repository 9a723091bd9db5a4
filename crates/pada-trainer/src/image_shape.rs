use pada_data::ImageSource;
use pada_graph::Shape;

/// The shape of an image, as a network reads it.
pub fn image_shape(images: &ImageSource) -> Shape {
    let [channels, height, width] = images.extents();
    Shape::new(channels, height, width)
}
