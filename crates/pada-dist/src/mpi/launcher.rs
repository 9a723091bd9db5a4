/// What started this process together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Its name for messages.
    pub name: String,
    /// How many ranks it started.
    pub size: usize,
}

/// Variables that say how many ranks there are, with the launcher that sets them. Slurm's number of tasks stands in the environment
/// of the batch script too, where there is one process; that of a step only where srun started one.
const VARIABLES: [(&str, &str); 4] = [
    ("OMPI_COMM_WORLD_SIZE", "mpirun"),
    ("PMI_SIZE", "mpiexec"),
    ("MV2_COMM_WORLD_SIZE", "mpirun"),
    ("SLURM_STEP_NUM_TASKS", "srun"),
];

impl Launcher {
    /// The launcher of this process; none where it was started alone.
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
    fn ranks_are_counted_where_a_launcher_says_so() {
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
