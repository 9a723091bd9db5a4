//! Input that does not fit is an error, with the words of the candle executor.

use pada_exec::{Batch, ExecError, Executor, Images, LossSpec, Precision};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::{Case, ISAS};

const SHAPE: Shape = Shape { channels: 3, height: 8, width: 8 };

/// Four images of four classes.
fn setup() -> (Case, Graph) {
    let net = Nb201Net::new(4, 1, SHAPE, 4, Norms::Plain);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap();
    (Case::new(net.weights(), SHAPE, 4, 4, 1), graph)
}

/// The error of a step, which is the same in words for all executors; none of them takes the weights along.
fn error(pixels: &[f32], shape: Shape, labels: &[u32], image_weights: Option<&[f32]>) -> ExecError {
    let (case, graph) = setup();
    let mut executors: Vec<Box<dyn Executor>> = vec![Box::new(case.candle())];
    for precision in [Precision::F32, Precision::F64] {
        executors.extend(ISAS.map(|isa| Box::new(case.engine(precision, isa)) as Box<dyn Executor>));
    }
    let batch = Batch { images: Images::given(pixels, shape), labels };
    let loss = LossSpec { image_weights, ..LossSpec::default() };
    let mut errors: Vec<ExecError> = executors
        .iter_mut()
        .map(|executor| {
            let error = executor.gradients(&graph, &batch, &loss).unwrap_err();
            assert!(executor.gradient_norms().iter().all(|&norm| norm == 0.0), "a gradient is left");
            error
        })
        .collect();
    let first = errors.swap_remove(0);
    assert!(errors.iter().all(|error| error.to_string() == first.to_string()), "{first}: {errors:?}");
    first
}

#[test]
fn images_of_another_shape_are_refused() {
    let (case, graph) = setup();
    let found = Shape::new(3, 4, 16);
    let error = error(&case.pixels, found, &case.labels, None);
    assert!(matches!(error, ExecError::ImageShape { expected: SHAPE, found: f } if f == found), "{error}");
    let images = Images::given(&case.pixels, found);
    let error = case.engine(Precision::F32, ISAS[2]).logits(&graph, &images).unwrap_err();
    assert!(matches!(error, ExecError::ImageShape { .. }), "{error}");
}

#[test]
fn half_an_image_is_refused() {
    let (case, _) = setup();
    let pixels = &case.pixels[..case.pixels.len() - 7];
    let error = error(pixels, SHAPE, &case.labels, None);
    assert!(
        matches!(error, ExecError::BatchLength { what: "pixel values", found: 761, images: 3 }),
        "{error}"
    );
}

#[test]
fn another_number_of_labels_or_image_weights_is_refused() {
    let (case, _) = setup();
    let labels = error(&case.pixels, SHAPE, &case.labels[..3], None);
    assert!(matches!(labels, ExecError::BatchLength { what: "labels", found: 3, images: 4 }), "{labels}");
    let weights = error(&case.pixels, SHAPE, &case.labels, Some(&[1.0; 5]));
    assert!(
        matches!(weights, ExecError::BatchLength { what: "image weights", found: 5, images: 4 }),
        "{weights}"
    );
}

#[test]
fn a_label_that_is_no_class_is_refused() {
    let (case, _) = setup();
    let error = error(&case.pixels, SHAPE, &[0, 1, 4, 2], None);
    assert!(matches!(error, ExecError::BadLabel { index: 2, label: 4, classes: 4 }), "{error}");
}
