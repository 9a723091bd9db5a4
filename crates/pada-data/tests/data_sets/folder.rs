//! Folders of photographs: layout, order, changes, damaged files.
use std::path::{Path, PathBuf};

use pada_data::{
    Augment, Damaged, DataError, DataLoader, Dataset, Flip, ImageFolder, Photographs, ResizedCrop, open,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const SIZE: usize = 24;

/// Made by `make_photographs.py`.
fn photograph(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photographs").join(name)
}

/// Files of a data set and the photographs that they are copies of.
fn data_set(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (file, photo) in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(photograph(photo), path).unwrap();
    }
    folder
}

const FILES: [(&str, &str); 7] = [
    ("train/cat/b.JPEG", "colour.jpeg"),
    ("train/cat/a.jpg", "grey.jpeg"),
    ("train/cat/c.png", "palette.png"),
    ("train/ant/1.jpeg", "inks.jpeg"),
    ("train/ant/.hidden.jpeg", "cut.jpeg"),
    ("train/ant/list.txt", "colour.png"),
    ("val/cat/x.jpeg", "progressive.jpeg"),
];

fn opened(folder: &Path) -> [ImageFolder; 2] {
    ImageFolder::open(folder, SIZE, Damaged::Stop).unwrap()
}

#[test]
fn folders_in_a_class_and_other_endings_are_read() {
    let folder = data_set(&FILES);
    for (file, photo) in [
        ("train/ant/images/2.jpeg", "colour.jpeg"),
        ("train/ant/images/@eaDir/2.jpeg", "colour.jpeg"),
        ("train/ant/3.jpe", "colour.jpeg"),
        ("train/ant/4.jfif", "colour.jpeg"),
        ("train/ant/5.webp", "colour.jpeg"),
    ] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(photograph(photo), path).unwrap();
    }
    let [train, _] = opened(folder.path());
    assert_eq!(train.labels.iter().filter(|&&label| label == 0).count(), 4);
}

#[test]
fn the_python_version_of_cifar_is_named() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("cifar-10-batches-py");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("batches.meta"), "").unwrap();
    for path in [folder.path(), &inner] {
        let error = open(path.to_str().unwrap(), Path::new("data"), None).unwrap_err();
        assert!(matches!(&error, DataError::PythonVersion { path } if *path == inner), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn a_broken_link_counts_as_damaged() {
    let folder = data_set(&FILES);
    std::os::unix::fs::symlink("nowhere", folder.path().join("train/ant/broken.jpeg")).unwrap();
    let [train, _] = opened(folder.path());
    assert!(
        matches!(train.center_crops(10), Err(DataError::Io { path, .. }) if path.ends_with("broken.jpeg"))
    );
    let [train, _] = ImageFolder::open(folder.path(), SIZE, Damaged::Skip).unwrap();
    assert_eq!((train.len(), train.center_crops(10).unwrap().len()), (5, 4));
}

/// A link to a folder that contains it, directly or through another link, adds no image. A link to another place does.
#[test]
#[cfg(unix)]
fn links_in_a_circle_are_passed_over() {
    use std::os::unix::fs::symlink;

    let folder = data_set(&FILES);
    let train = |name: &str| folder.path().join("train").join(name);
    let [plain, _] = opened(folder.path());
    for (target, link) in
        [("..", "ant/all"), (".", "ant/itself"), (".", "ant/again"), ("..", "zoo"), ("../dog", "cat/dogs")]
    {
        if link == "cat/dogs" {
            // A circle of two links, whose first step is no circle.
            std::fs::create_dir(train("dog")).unwrap();
            symlink("../cat", train("dog/cats")).unwrap();
        }
        symlink(target, train(link)).unwrap();
    }
    let [linked, _] = ImageFolder::open(folder.path(), SIZE, Damaged::Stop).unwrap();
    let count = |set: &ImageFolder, class: &str| {
        let place = set.classes.iter().position(|name| name == class).unwrap();
        set.labels.iter().filter(|&&label| usize::from(label) == place).count()
    };
    for class in ["ant", "cat"] {
        assert_eq!(count(&linked, class), count(&plain, class), "{class}");
    }
    // The folder of another class, through a link within this one.
    assert_eq!((count(&linked, "dog"), count(&linked, "zoo")), (count(&plain, "cat"), 0));
}

#[test]
fn classes_are_sorted_by_name_and_images_are_round_robin() {
    let folder = data_set(&FILES);
    let [train, val] = opened(folder.path());
    assert_eq!(train.classes.to_vec(), ["ant", "cat"]);
    // ant/1, cat/a, cat/b, cat/c
    assert_eq!((train.labels.clone(), val.labels.clone()), (vec![0, 1, 1, 1], vec![1]));
    assert!(train.name.ends_with(" train") && val.name.ends_with(" val"), "{} {}", train.name, val.name);

    let crops = train.center_crops(10).unwrap();
    assert_eq!((crops.len(), crops.classes, crops.height), (4, 2, SIZE));
    let [ink, grey] = [0, 1].map(|i| crops.image(i).unwrap().as_chunks::<{ SIZE * SIZE }>().0.to_vec());
    assert_eq!((grey[0], grey[1]), (grey[1], grey[2]), "a grey image has equal planes");
    assert_ne!(ink[0], ink[2]);

    let same = train.subset(&[0, 1, 2, 3]).unwrap();
    assert_eq!(same.sha256(), train.sha256());
    assert_ne!(train.subset(&[0, 1, 3, 2]).unwrap().sha256(), train.sha256());
    let larger = ImageFolder::open(folder.path(), SIZE + 1, Damaged::Stop).unwrap();
    assert_ne!(larger[0].sha256(), train.sha256());
}

#[test]
fn a_folder_is_no_photograph_whatever_its_name() {
    let folder = data_set(&FILES);
    std::fs::create_dir(folder.path().join("train/ant/3.JPG")).unwrap();
    let [train, _] = opened(folder.path());
    assert_eq!((train.len(), train.center_crops(10).unwrap().len()), (4, 4));
}

#[test]
fn other_layouts_are_refused_with_the_place() {
    let refused = |files: &[(&str, &str)]| {
        let folder = data_set(files);
        let error = ImageFolder::open(folder.path(), SIZE, Damaged::Stop).unwrap_err();
        (error.to_string(), error)
    };
    let (text, error) = refused(&[("train/cat/a.jpeg", "colour.jpeg")]);
    assert!(
        matches!(error, DataError::Folder { .. }) && text.contains("neither a subfolder `val`"),
        "{text}"
    );
    let (text, _) = refused(&[("train/cat/a.jpeg", "colour.jpeg"), ("val/dog/a.jpeg", "colour.jpeg")]);
    assert!(text.contains("val/dog") && text.contains("no class of this name"), "{text}");
    let (text, _) = refused(&[("train/a.jpeg", "colour.jpeg"), ("val/dog/a.jpeg", "colour.jpeg")]);
    assert!(text.contains("no class folder"), "{text}");
    let (text, _) = refused(&[("train/cat/a.gif", "colour.jpeg"), ("val/cat/a.jpeg", "colour.jpeg")]);
    assert!(text.contains("no JPEG or PNG file"), "{text}");
    let (_, error) = refused(&[("val/cat/a.jpeg", "colour.jpeg")]);
    assert!(matches!(error, DataError::Io { .. }), "{error}");
}

#[test]
fn a_folder_needs_a_size_and_other_sets_have_their_own() {
    let folder = data_set(&FILES);
    let (path, data) = (folder.path().to_str().unwrap(), Path::new("unused"));
    let photographs = Some(Photographs { size: SIZE, damaged: Damaged::Stop });
    assert_eq!(open(path, data, photographs).unwrap().train.extents(), [3, SIZE, SIZE]);
    let error = open(path, data, None).unwrap_err();
    assert!(matches!(error, DataError::NoSize { .. }), "{error}");
    assert!(error.to_string().contains("--set data.image_size=224"), "{error}");
    let error = open("mini", data, photographs).unwrap_err();
    assert!(matches!(error, DataError::OwnSize { .. }), "{error}");
    let empty = TempDir::new().unwrap();
    let error = open(empty.path().to_str().unwrap(), data, photographs).unwrap_err();
    assert!(matches!(error, DataError::Folder { .. }), "{error}");
}

fn augment() -> Augment {
    Augment {
        flip: Flip::Horizontal,
        cutout: Some(8),
        resized_crop: Some(ResizedCrop { area: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] }),
        color_jitter: Some(pada_data::ColorJitter {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
        }),
        ..Augment::NONE
    }
}

#[test]
fn the_augmentation_depends_on_the_random_stream_alone() {
    let folder = data_set(&FILES);
    let source = Dataset::Folder(opened(folder.path())[0].clone());
    let mut loader = DataLoader::new(source.clone());
    let [mut a, mut b] = [(); 2].map(|()| ChaCha8Rng::seed_from_u64(5));
    for indices in [[0, 1, 2], [3, 3, 0]] {
        let start = a.clone();
        let (plan, again) = (
            source.plan(&indices, &augment(), &mut a).unwrap(),
            source.plan(&indices, &augment(), &mut b).unwrap(),
        );
        assert_eq!(plan, again);
        let now = source.load(&plan).unwrap();
        assert_eq!(now.indices, indices);
        assert_eq!(now.pixels.len(), 3 * 3 * SIZE * SIZE);
        // Prefetched, something else prefetched, and nothing prefetched.
        for asked in [Some(&indices[..]), Some(&[1]), None] {
            if let Some(asked) = asked {
                loader.prefetch(asked, &augment(), &mut start.clone());
            }
            assert_eq!(loader.load(&indices, &augment(), &mut start.clone()).unwrap(), now);
        }
    }
    // The same photograph twice in a batch is augmented twice.
    let images = source.load(&source.plan(&[3, 3], &augment(), &mut a).unwrap()).unwrap();
    let (first, second) = images.pixels.split_at(3 * SIZE * SIZE);
    assert_ne!(first, second);
}

#[test]
fn without_augmentation_a_photograph_is_its_center_crop() {
    let folder = data_set(&FILES);
    let [train, _] = opened(folder.path());
    let crops = train.center_crops(4).unwrap();
    let source = Dataset::Folder(train);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let plain = source.load(&source.plan(&[2, 0], &Augment::NONE, &mut rng).unwrap()).unwrap();
    let expected = pada_data::normalised(&crops, &[2, 0]).unwrap();
    let largest = plain.pixels.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-6, "{largest}");

    // A hole as large as the image, wherever its middle, leaves at most three quarters of it.
    let hole = Augment { cutout: Some(SIZE), ..Augment::NONE };
    let cut = source.load(&source.plan(&[2], &hole, &mut rng).unwrap()).unwrap().pixels;
    let gone = cut.iter().filter(|&&value| value == 0.0).count();
    assert!(gone >= 3 * SIZE * SIZE / 4, "{gone}");
    assert_eq!(gone % 3, 0, "a hole is in all planes");
}

#[test]
fn a_damaged_file_stops_or_is_left_out() {
    let mut files = FILES.to_vec();
    files.push(("train/ant/0.jpeg", "cut.jpeg"));
    let folder = data_set(&files);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut batch = |damaged| {
        let [train, _] = ImageFolder::open(folder.path(), SIZE, damaged).unwrap();
        let crops = train.center_crops(2);
        let source = Dataset::Folder(train);
        let plan = source.plan(&[0, 1, 2], &augment(), &mut rng).unwrap();
        (source.load(&plan), crops)
    };
    let (images, crops) = batch(Damaged::Skip);
    assert_eq!(images.unwrap().indices, [1, 2]);
    assert_eq!(crops.unwrap().labels, [1]);
    let (images, crops) = batch(Damaged::Stop);
    for error in [images.unwrap_err(), crops.unwrap_err()] {
        assert!(
            matches!(&error, DataError::Damaged { path, .. } if path.ends_with("train/ant/0.jpeg")),
            "{error}"
        );
    }
}

/// Folders that other programs create must not become class 0, because all labels would move.
#[test]
fn hidden_folders_and_folders_of_other_programs_are_not_classes() {
    let mut files = FILES.to_vec();
    for folder in [".ipynb_checkpoints", "@eaDir", "__MACOSX", "lost+found"] {
        for part in ["train", "val"] {
            files.push((Box::leak(format!("{part}/{folder}/a.jpeg").into_boxed_str()), "colour.jpeg"));
        }
    }
    let folder = data_set(&files);
    let [train, val] = opened(folder.path());
    assert_eq!(train.classes.to_vec(), ["ant", "cat"]);
    assert_eq!((train.labels, val.labels), (vec![0, 1, 1, 1], vec![1]));
}

#[test]
fn classes_without_images_are_named() {
    let folder = data_set(&FILES);
    std::fs::create_dir(folder.path().join("train/bee")).unwrap();
    let [train, val] = opened(folder.path());
    assert_eq!(train.classes.to_vec(), ["ant", "bee", "cat"]);
    assert_eq!((train.empty_classes(), val.empty_classes()), (vec!["bee"], vec!["ant", "bee"]));
}

/// Nothing writes into the pipe, so reading it would never end.
#[cfg(unix)]
#[test]
fn a_photograph_that_is_a_pipe_is_damaged() {
    let folder = data_set(&FILES);
    let pipe = folder.path().join("train/ant/0.jpeg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let [train, _] = opened(folder.path());
    let error = train.center_crops(1).unwrap_err();
    assert!(matches!(&error, DataError::Damaged { path, .. } if *path == pipe), "{error}");
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn a_split_whose_images_are_all_damaged_is_an_error() {
    let folder = data_set(&[("train/cat/a.jpeg", "colour.jpeg"), ("val/cat/a.jpeg", "cut.jpeg")]);
    let [train, val] = ImageFolder::open(folder.path(), SIZE, Damaged::Skip).unwrap();
    assert_eq!(Dataset::Folder(train).to_memory(1).unwrap().len(), 1);
    let error = Dataset::Folder(val.clone()).to_memory(usize::MAX).unwrap_err();
    assert!(matches!(error, DataError::AllDamaged { images: 1, .. }), "{error}");
    assert!(Dataset::Folder(val).to_memory(0).unwrap().is_empty());
}

#[test]
fn an_index_out_of_range_is_an_error() {
    let folder = data_set(&FILES);
    let [train, val] = opened(folder.path()).map(Dataset::Folder);
    let mini = Dataset::from(pada_data::mini().unwrap().train);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for (set, images) in [(&train, 4), (&mini, 8000)] {
        let mut refused = vec![set.subset(&[0, images]).unwrap_err()];
        refused.push(set.plan(&[images], &Augment::NONE, &mut rng).unwrap_err());
        refused.push(DataLoader::new(set.clone()).load(&[images], &Augment::NONE, &mut rng).unwrap_err());
        for error in refused {
            assert!(
                matches!(&error, DataError::IndexOutOfRange { index, images: n, .. } if (*index, *n) == (images as usize, images as usize)),
                "{error}"
            );
            assert!(error.to_string().contains(set.name()), "{error}");
        }
    }
    // A plan that was made for another data set.
    let plan = train.plan(&[3], &Augment::NONE, &mut rng).unwrap();
    assert!(matches!(val.load(&plan), Err(DataError::IndexOutOfRange { index: 3, images: 1, .. })));
    assert!(matches!(mini.load(&plan), Err(DataError::OtherDataset { .. })));
    let Dataset::InMemory(mini) = mini else { panic!("mini is in memory") };
    assert!(matches!(mini.image(8000), Err(DataError::IndexOutOfRange { index: 8000, .. })));
    assert!(pada_data::normalised(&mini, &[8000]).is_err());
    assert!(pada_data::fill(&mini, &[8000], &Augment::NONE, &mut rng, &mut vec![]).is_err());
}
