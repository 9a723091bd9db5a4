/// The launcher that started this process together with others, for example `mpirun`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Launcher {
    /// The name of the program.
    pub name: String,
    /// The number of processes that it started, at least 2.
    pub size: usize,
}

/// The environment variables that contain the number of processes, with the launchers that set them.
///
/// `SLURM_NTASKS` is not one of them, because it is also set in a batch script, which is a single process. `SLURM_STEP_NUM_TASKS` is only
/// set by srun.
const VARIABLES: [(&str, &str); 4] = [
    ("OMPI_COMM_WORLD_SIZE", "mpirun"),
    ("PMI_SIZE", "mpiexec"),
    ("MV2_COMM_WORLD_SIZE", "mpirun"),
    ("SLURM_STEP_NUM_TASKS", "srun"),
];

impl Launcher {
    /// Detects the launcher of this process from the environment. Returns `None` for a single process.
    pub fn detect() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        VARIABLES.iter().find_map(|(name, launcher)| {
            let size = variable(name)?.trim().parse().ok().filter(|&size: &usize| size > 1)?;
            Some(Self { name: (*launcher).to_owned(), size })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_if_a_launcher_says_so() {
        let of = |set: &'static [(&str, &str)]| {
            Launcher::of(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let started = |name: &str, size| Some(Launcher { name: name.to_owned(), size });
        assert_eq!(of(&[("OMPI_COMM_WORLD_SIZE", "4")]), started("mpirun", 4));
        assert_eq!(of(&[("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_NTASKS", "2")]), started("srun", 2));
        // A batch script that asked for four tasks and starts one program itself.
        assert_eq!(of(&[("SLURM_NTASKS", "4")]), None);
        assert_eq!(of(&[("PMI_SIZE", "1")]), None);
        assert_eq!(of(&[("PMI_SIZE", "many")]), None);
    }
}
