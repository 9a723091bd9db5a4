use pada_data::Dataset;
use pada_graph::Shape;

/// The shape of an image, as a network reads it.
pub fn image_shape(images: &Dataset) -> Shape {
    let [channels, height, width] = images.extents();
    Shape::new(channels, height, width)
}
