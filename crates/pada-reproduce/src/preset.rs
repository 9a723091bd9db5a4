use pada::RunConfig;

/// The size of an experiment, up to the paper's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum Preset {
    /// Embedded images, minutes.
    #[cfg_attr(feature = "clap", value(alias = "quick"))]
    Mini,
    /// CIFAR-10, a small network, hours.
    Short,
    /// CIFAR-10, a small network, 100 epochs with small batches; not for table2 and table3.
    Medium,
    /// The paper's protocol.
    Full,
}

impl Preset {
    /// Returns the name in tables and in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Full => "full",
        }
    }

    /// Returns the config that methods change, in the folder `configs`.
    pub(crate) fn config_file(self) -> &'static str {
        match self {
            Self::Mini => "mini/pada.toml",
            Self::Short => "nb201/short.toml",
            Self::Medium => "nb201/medium.toml",
            Self::Full => "nb201/pada.toml",
        }
    }

    /// Returns the assignments that the preset adds to that config.
    ///
    /// Mini trains for 10 of the 20 epochs of its config. An epoch with one path per step takes 0.5 s on 2 cores. The cost of each row, in
    /// epochs with one path per step: SPOS, CLOSE, PA&DA and NSAS (released demo) 10; FairNAS 50; Magic-AT and NSAS
    /// (notebook) 30; NSAS (archive) up to 90; SUMNAS 100; Few-Shot-5 10 + 5 · 5 = 35; Few-Shot-25 10 + 25 · 5 = 135; GM 4 · (1 + 2 + 4) + 8 ·
    /// 10 = 108, and about 10 more for 160 comparisons on each of its 8 samples. A row ranks 300 architectures in 10 s. All rows of Table 1,
    /// with all variants of a method, the controls and three seeds, are 60 runs.
    pub(crate) fn set(self) -> &'static [&'static str] {
        match self {
            Self::Mini => &["train.epochs=10"],
            Self::Short | Self::Medium | Self::Full => &[],
        }
    }

    /// Returns the number of (batch, path) pairs on which GM compares gradients. `Full` uses the number of the published method.
    pub(crate) fn gm_samples(self) -> usize {
        match self {
            Self::Mini => 8,
            Self::Short => 16,
            Self::Medium => 32,
            Self::Full => 100,
        }
    }

    /// Returns the note that a reader needs before comparing with published numbers; `changes` are the assignments of the user.
    pub(crate) fn note(self, config: &RunConfig, changes: &[String]) -> String {
        let (net, train) = (&config.supernet, &config.train);
        let protocol = format!("{}, {} epochs, batch {}", net.size_text(), train.epochs, train.batch);
        match self {
            Self::Full if changes.is_empty() => {
                format!(
                    "The paper's protocol: {protocol}. Published values of other rows than PA&DA may use another one."
                )
            }
            Self::Full => format!(
                "**Not the paper's protocol**: {protocol}, with changes (above). The published values of PA&DA use the protocol without these changes."
            ),
            Self::Mini | Self::Short | Self::Medium => format!(
                "**Quick preset `{}`, not the paper's protocol**: {protocol}. Published values use the full protocol (CIFAR-10, \
                 C=16, N=5, 250 epochs, 15,625 architectures): these numbers neither confirm nor contradict them.",
                self.name()
            ),
        }
    }

    /// Returns the values of the variables that methods use (`$name`), computed from the number of epochs of the config.
    ///
    /// The sub-supernets of Few-Shot train half as long as the supernet, as in its paper. DIFFERS: no public text says how long GM trains
    /// between three splits. Two fifths of the epochs before each split, and all epochs after the last one, are the public ratio 20 : 20 : 50 for
    /// two splits, and add up to 10.8 times the cost of SPOS; the published cost is 11.3 times.
    pub(crate) fn variables(self, epochs: usize) -> [(&'static str, usize); 4] {
        [
            ("$half_epochs", epochs.div_ceil(2)),
            ("$gm_between", (2 * epochs).div_ceil(5)),
            ("$gm_samples", self.gm_samples()),
            ("$epochs", epochs),
        ]
    }
}
