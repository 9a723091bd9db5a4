use pada::RunConfig;

/// How much of the paper's protocol runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Embedded images, minutes.
    Mini,
    /// CIFAR-10, a small network, hours.
    Short,
    /// The paper's protocol.
    Full,
}

impl Preset {
    /// Returns the name in tables and in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Short => "short",
            Self::Full => "full",
        }
    }

    /// The config that methods change, in the folder `configs`.
    pub(crate) fn config_file(self) -> &'static str {
        match self {
            Self::Mini => "mini/pada.toml",
            Self::Short => "nb201/short.toml",
            Self::Full => "nb201/pada.toml",
        }
    }

    /// What the preset changes in that config.
    ///
    /// Mini takes 10 of its 20 epochs, 0.5 s each on 2 cores with one path a step. Epochs of one path that a row costs: SPOS, CLOSE
    /// and PA&DA 10; FairNAS 50; Magic-AT and NSAS 30; SUMNAS 100; Few-Shot 10 + 25 · 5 = 135; GM 10 + 6 · 3 + 8 · 10 = 108 and 160
    /// comparisons for each of its 8 samples, 10 more. A row ranks 300 architectures in 10 s. All rows of Table 1 with both variants of
    /// a method, the controls and three seeds are 51 runs; the record `2026-11-25-table1-mini` says how long they take.
    pub(crate) fn set(self) -> &'static [&'static str] {
        match self {
            Self::Mini => &["train.epochs=10"],
            Self::Short | Self::Full => &[],
        }
    }

    /// Pairs of a batch and a path that GM compares gradients over. The full number is the method's own.
    pub(crate) fn gm_samples(self) -> usize {
        match self {
            Self::Mini => 8,
            Self::Short => 16,
            Self::Full => 100,
        }
    }

    /// What a reader must know before comparing with published numbers; `changes` are the user's.
    pub(crate) fn note(self, config: &RunConfig, changes: &[String]) -> String {
        let (net, train) = (&config.supernet, &config.train);
        let protocol = format!("{}, {} epochs, batch {}", net.size_text(), train.epochs, train.batch);
        match self {
            Self::Full if changes.is_empty() => {
                format!("The paper's protocol: {protocol}. Published values are of the same protocol.")
            }
            Self::Full => format!(
                "**Not the paper's protocol**: {protocol}, with changes (above). Published values are of the protocol without them."
            ),
            Self::Mini | Self::Short => format!(
                "**Quick preset `{}`, not the paper's protocol**: {protocol}. Published values are of the full protocol (CIFAR-10, \
                 C=16, N=5, 250 epochs, 15,625 architectures): these numbers neither confirm nor contradict them.",
                self.name()
            ),
        }
    }

    /// Numbers that methods name with `$`, from the config they change.
    ///
    /// Parts of Few-Shot train half as long as the whole, as in its paper. How long GM trains between splits and after
    /// the last is in no text that was found: three tenths of the epochs, and all of them since parts start anew, come to the cost
    /// of the published table.
    pub(crate) fn variables(self, config: &RunConfig) -> [(&'static str, usize); 4] {
        let epochs = config.train.epochs;
        [
            ("$half_epochs", epochs.div_ceil(2)),
            ("$gm_between", (3 * epochs).div_ceil(10)),
            ("$gm_samples", self.gm_samples()),
            ("$epochs", epochs),
        ]
    }
}
