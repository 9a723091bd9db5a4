#!/usr/bin/env bash
# Runs this kit on a machine with an NVIDIA GPU. `run.sh help` lists the commands; README.md beside this file explains them.
# It needs bash, coreutils, tar and python3. It needs neither Rust nor a network.
set -u

kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
python=${PADA_PYTHON:-python3}
# The programs see one GPU, which is cuda:0 to all of them. It has the number that nvidia-smi gives it.
export CUDA_DEVICE_ORDER=${CUDA_DEVICE_ORDER:-PCI_BUS_ID}
export CUDA_VISIBLE_DEVICES=${PADA_KIT_GPU:-${CUDA_VISIBLE_DEVICES-0}}
gpu=${CUDA_VISIBLE_DEVICES%%,*}
device=cuda:0
runs=$(realpath -m "${PADA_KIT_RUNS:-$kit/runs}")
# What `pada train` is told beside its config, as words: `--set compute.precision=bf16`.
mini_settings=${PADA_KIT_MINI:---set train.epochs=4}
full_settings=${PADA_KIT_SET:-}
steps=${PADA_KIT_STEPS:-40}
# How often each benchmark repeats its paths.
sweeps=${PADA_KIT_SWEEPS:-5}
spaces=${PADA_KIT_SPACES:-nb201}
# Launches in front of those that ncu profiles: the known networks with which the engine checks a GPU, and a part of the first step.
ncu_skip=${PADA_KIT_NCU_SKIP:-400}

# A stage ends with this code where something that it needs is not there.
skipped=77
# Seconds that are kept back to pack the results.
reserve=5
# Bytes that stay of the beginning and of the end of a long log.
log_end=262144
# The text of errors after which a CUDA context cannot be used any more.
faults='illegal memory access|illegal instruction|misaligned address|launch failure|invalid program counter|hardware stack error'
faults+='|launch timed out|device-side assert|CUDA_ERROR_(ILLEGAL|MISALIGNED|LAUNCH|INVALID_PC|INVALID_ADDRESS|HARDWARE|ASSERT)'

export PADA_TEST_CUDA=0
PADA_GOLDEN=$(realpath -m "${PADA_GOLDEN:-$kit/golden}")
PADA_DATA=$(realpath -m "${PADA_DATA:-$kit/data}")
PADA_CACHE=$(realpath -m "${PADA_CACHE:-$kit/kernels}")
export PADA_GOLDEN PADA_DATA PADA_CACHE
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RUST_BACKTRACE=0
# The programs of the kit belong to no workspace, whatever started this script.
unset CARGO_MANIFEST_DIR

usage() {
  cat <<END
usage: run.sh check            Tests this kit's programs on the GPU and times them; takes ${PADA_KIT_TOTAL:-330} s at most.
       run.sh data [PART…]     Restores parts of the data set into $PADA_DATA; without PART says what is missing.
       run.sh full SECONDS     Trains configs/nb201/short.toml with three seeds, then configs/nb201/pada.toml. Repeat it to go on.
       run.sh stage NAME       Runs one stage of \`check\` or \`full\` in the foreground.
       run.sh help             Prints this text.

Results of \`check\` and \`full\` are written to \$OUT, or to ./results: summary.txt, summary.md and logs.tar.gz.
END
}

# ---- The stages. Each runs in a process of its own, and what it prints is its log. ----

fail() { echo "error: $*"; exit 1; }
skip() { echo "skipped: $*"; exit "$skipped"; }

# Prints the path of a tool of the CUDA toolkit.
tool() { command -v "$1" || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/"$1" /usr/local/cuda*/bin/"$1" 2>/dev/null | head -n 1 | grep .; }

check_file() { "$python" "$kit/checks.py" "$@"; }

stage_environment() {
  sed -n 's/^# //p' "$kit/MANIFEST"
  grep -v '^#' "$kit/MANIFEST" | awk '{print $1 "  " $3}' | (cd "$kit" && sha256sum --check --quiet) ||
    fail "files of the kit are damaged or missing, see above; copy the kit again"
  date -u '+date: %F %T UTC'
  uname -sm
  sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release
  ldd --version 2>&1 | head -n 1
  echo "cores: $(nproc)"
  grep -m 1 'model name' /proc/cpuinfo
  grep MemTotal /proc/meminfo
  df -h "$kit" | tail -n 1 | awk '{print "disk: " $4 " free"}'
  "$python" --version || fail "$python does not run; set PADA_PYTHON to a Python 3"
  "$python" -c 'import importlib.metadata as m; print("torch:", m.version("torch"))' 2>/dev/null || echo "torch: none"
  echo "library folders of Python packages: $(echo "$PADA_KIT_LIBRARIES" | tr ':' '\n' | grep -c .)"
  for name in compute-sanitizer ncu nvcc cuobjdump g++; do
    if tool $name >/dev/null; then echo "$name: found"; else echo "$name: none"; fi
  done
  "$kit/bin/pada" --version || fail "bin/pada does not start on this system, see above"
  "$kit/bin/pada-bench" --help >/dev/null || fail "bin/pada-bench does not start on this system, see above"
  local fields=name,driver_version,memory.total,compute_cap,clocks.max.sm,clocks.max.memory
  if nvidia-smi; then
    nvidia-smi --query-gpu=$fields --format=csv
    nvidia-smi --id="${gpu:-0}" --query-gpu=driver_version --format=csv,noheader | sed 's/^/driver: /'
    nvidia-smi --id="${gpu:-0}" --query-gpu=name --format=csv,noheader | sed 's/^/card: /'
  else
    echo "card: none, nvidia-smi does not run"
  fi
}

# Runs a program whose output a stage looks at afterwards; what it has printed when a time limit ends it is in the log.
kept() {
  local file=$1
  shift
  "$@" 2>&1 | tee "$file"
  return "${PIPESTATUS[0]}"
}

stage_doctor() {
  kept "$work/doctor.out" "$kit/bin/pada" doctor --kernels --json
  local code=$?
  [ "$code" = 0 ] || fail "pada doctor ended with code $code"
  check_file doctor "$work/doctor.out"
}

stage_sanitizer() {
  local sanitizer out=$work/sanitizer-$1.out
  sanitizer=$(tool compute-sanitizer) || skip "compute-sanitizer was not found; it comes with the CUDA toolkit"
  kept "$out" "$sanitizer" --tool "$1" --error-exitcode 9 --print-limit 20 "$kit/bin/pada" doctor --json
  local code=$?
  [ "$code" != 9 ] || fail "$1: $(grep -a 'ERROR SUMMARY\|RACECHECK SUMMARY' "$out" | tail -n 1 | tr -d '=')"
  [ "$code" = 0 ] || fail "compute-sanitizer ended with code $code"
  # A program that never reached the GPU has no errors there.
  check_file doctor "$out"
}

stage_tests() {
  local name=$1 out=$work/tests-$1.out filters code
  filters=$(awk -v name="$name" '$1 == name {$1 = ""; print}' "$kit/tests.txt")
  [ -x "$kit/bin/test-$name" ] || fail "the kit has no bin/test-$name"
  # Tests that compare with golden values skip where these are missing, and must not where the kit has them.
  [ -d "$kit/golden" ] && export PADA_REQUIRE_SHARED=1
  cd "$work" || exit 1
  # shellcheck disable=SC2086 # filters are words
  kept "$out" "$kit/bin/test-$name" $filters
  code=$?
  if [ "$code" != 0 ]; then
    # A panic's message is the line below the place.
    local why
    why=$(awk 'found {print; exit} /panicked at/ {found = 1}' "$out")
    fail "$(grep -a '^test result' "$out" | tail -n 1) First failure: ${why:-it has no message; the program ended with code $code}"
  fi
  grep -aqE '^test result: ok. [1-9]' "$out" || fail "no test of bin/test-$name has a name with one of:$filters"
}

# mini FOLDER DEVICE PROGRAM [OPTION…]
mini() {
  local folder=$work/$1 on=$2 program=$3
  shift 3
  rm -rf "$folder"
  # shellcheck disable=SC2086 # settings are words
  "$program" train --seed 0 --out "$folder" --device "$on" --checkpoint-every 1000 $mini_settings "$@"
}

stage_mini_compare() {
  local record
  for record in cpu gpu; do
    [ -f "$work/mini-$record/record.json" ] || skip "there is no finished run on the ${record^^} to compare"
  done
  check_file runs "$work/mini-cpu/record.json" "$work/mini-gpu/record.json"
}

stage_candle() {
  [ -x "$kit/bin/pada-candle" ] || skip "the kit has no bin/pada-candle; cargo xtask gpu-kit --candle builds it"
  local few=(--set train.epochs=1 --set data.train_images=1280 --set rank.images=500)
  mini candle-cpu cpu "$kit/bin/pada" "${few[@]}" || exit $?
  mini candle-gpu $device "$kit/bin/pada-candle" "${few[@]}" --set compute.executor=candle || exit $?
  check_file runs "$work/candle-cpu/record.json" "$work/candle-gpu/record.json"
}

# stage_engine PRECISION: training steps with and without gradient variance, then ranking passes, over the same paths as PyTorch.
stage_engine() {
  local precision=$1 code=0 space common
  "$kit/bin/pada-bench" step --help 2>&1 | grep -qwe "$precision" || skip "the engine has no precision $precision"
  for space in $spaces; do
    common=(--space "$space" --paths "$kit/paths/$space.json" --steps "$steps" --sweeps "$sweeps" --device $device \
      --precision "$precision" --json)
    "$kit/bin/pada-bench" step "${common[@]}" || code=$?
    "$kit/bin/pada-bench" step "${common[@]}" --gradient-variance --kernels || code=$?
    "$kit/bin/pada-bench" rank "${common[@]}" --kernels || code=$?
  done
  exit $code
}

# torch MODES [OPTION…]
stage_torch() {
  local modes=$1 code=0 space
  shift
  [ -f "$kit/peer/peer_device.py" ] || skip "the kit has no peer/; cargo xtask gpu-kit --peer DIR takes it along"
  "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' ||
    skip "$python has no PyTorch; set PADA_PYTHON to a Python that has it"
  for space in $spaces; do
    "$python" "$kit/peer/peer_device.py" --peer "$kit/peer" --device $device --space "$space" \
      --paths "$kit/paths/$space.json" --task train,rank --modes "$modes" --steps "$steps" --sweeps "$sweeps" "$@" || code=$?
  done
  exit $code
}

stage_ncu() {
  local ncu sections=() section out=$work/ncu.out
  ncu=$(tool ncu) || skip "ncu was not found; it comes with the CUDA toolkit"
  for section in SpeedOfLight LaunchStats Occupancy MemoryWorkloadAnalysis WarpStateStats; do sections+=(--section $section); done
  # The clocks of the card are left as they are. ncu ends the program behind the last launch, so its exit code says nothing.
  kept "$out" "$ncu" --clock-control none --kill yes --launch-skip "$ncu_skip" --launch-count 24 "${sections[@]}" \
    "$kit/bin/pada-bench" step --space nb201 --paths "$kit/paths/nb201.json" --steps 1 --device $device
  local profiled
  profiled=$(grep -ac '==PROF== Profiling "' "$out")
  [ "$profiled" -gt 0 ] || fail "no launch was profiled: $(grep -aE '^(==ERROR==|error:)' "$out" | tail -n 1)"
  echo "profiled $profiled launches"
}

# train FOLDER CONFIG SEED: starts a run, or goes on with it.
train() {
  local folder=$runs/$1
  if check_file finished "$folder/record.json"; then
    echo "$1 was finished by an earlier call"
    return 0
  fi
  # At the time limit, this shell waits until the program has written a checkpoint.
  trap : TERM
  if [ -f "$folder/config.toml" ]; then
    "$kit/bin/pada" train --resume "$folder" --device $device --checkpoint-every 30
  else
    # shellcheck disable=SC2086 # settings are words
    "$kit/bin/pada" train --config "$kit/configs/nb201/$2" --seed "$3" --out "$folder" --device $device \
      --checkpoint-every 30 $full_settings
  fi
}

# The long run ends at the time limit as a rule, with a checkpoint.
stage_pada() {
  train nb201-pada pada.toml 0
  local code=$?
  [ "$code" = 130 ] || exit "$code"
  echo "stopped at the time limit, newest checkpoint: $(newest "$runs/nb201-pada"); the same command goes on"
}

run_stage() {
  case $1 in
    environment) stage_environment ;;
    doctor) stage_doctor ;;
    tests-*) stage_tests "${1#tests-}" ;;
    sanitizer-*) stage_sanitizer "${1#sanitizer-}" ;;
    mini-cpu) mini mini-cpu cpu "$kit/bin/pada" ;;
    mini-gpu) mini mini-gpu $device "$kit/bin/pada" ;;
    mini-compare) stage_mini_compare ;;
    candle) stage_candle ;;
    ops) "$kit/bin/pada-bench" ops --device $device --json ;;
    engine-*) stage_engine "${1#engine-}" ;;
    torch) stage_torch eager,bf16,channels_last --sweeps 2 ;;
    torch-compile) stage_torch compile --compile-paths 1 ;;
    ncu) stage_ncu ;;
    data) "$python" "$kit/restore.py" --missing --into "$PADA_DATA" ;;
    short-s*) train "nb201-$1" short.toml "${1#short-s}" ;;
    pada) stage_pada ;;
    *) echo "error: there is no stage $1" && exit 2 ;;
  esac
}

# ---- What runs them. ----

# Prints the newest checkpoint of a run folder: epoch-0007-step-00020 is newer than epoch-0007.
newest() {
  (cd "$1" 2>/dev/null && ls epoch-*.safetensors 2>/dev/null) | sed 's/\.safetensors$//' | LC_ALL=C sort | tail -n 1 |
    sed 's/$/.safetensors/' | grep .
}

# Makes paths of this machine short.
without_paths() { sed -e "s#$work#WORK#g" -e "s#$kit#KIT#g" -e "s#$results#RESULTS#g" -e "s#$runs#RUNS#g"; }

# line STAGE CODE MILLISECONDS TEXT: adds a line to the summary and shows it.
line() {
  local seconds
  seconds=$(printf '%d.%d' $(($3 / 1000)) $(($3 % 1000 / 100)))
  printf '%-22s %4s %7s  %s\n' "$1" "$2" "$seconds" "$4" | without_paths | tee -a "$results/summary.txt"
}

# The line of a log that says most: an error's where a stage failed, else the last one.
telling() {
  local text=
  case $2 in 0 | "$skipped") ;; *) text=$(grep -aE '^error' "$1" | tail -n 1) ;; esac
  [ -n "$text" ] || text=$(grep -av '^[[:space:]]*$' "$1" | tail -n 1)
  printf '%s' "$text" | tr '\t' ' ' | tr -d '\000-\037\177' | cut -c 1-300
}

# attempt NAME LOG LIMIT: runs a stage once.
attempt() {
  local name=$1 log=$work/logs/$2.log limit=$3 started ended code text
  local left=$((deadline - SECONDS - reserve))
  [ "$limit" -le "$left" ] || limit=$left
  [ "$limit" -le "${PADA_KIT_LIMIT:-$limit}" ] || limit=$PADA_KIT_LIMIT
  if [ "$limit" -lt 1 ]; then
    line "$2" "$skipped" 0 "skipped: no time was left"
    return "$skipped"
  fi
  started=$(date +%s%N)
  # In the background, because bash handles signals to this script only while it waits.
  timeout --preserve-status --signal=TERM --kill-after=10 "$limit" bash "$kit/run.sh" stage "$name" >"$log" 2>&1 &
  wait $!
  code=$?
  ended=$(($(date +%s%N) - started))
  text=$(telling "$log" "$code")
  if [ "$code" != 0 ] && [ "$ended" -ge "${limit}000000000" ]; then text="stopped at its limit of $limit s: $text"; fi
  line "$2" "$code" $((ended / 1000000)) "$text"
  return "$code"
}

# stage NAME LIMIT: runs a stage, and after a fault of CUDA once more with launches that wait, so that the error names the kernel.
stage() {
  attempt "$1" "$1" "$2"
  local code=$?
  if [ "$code" != 0 ] && [ "$code" != "$skipped" ] && grep -aqE "$faults" "$work/logs/$1.log"; then
    CUDA_LAUNCH_BLOCKING=1 attempt "$1" "$1-blocking" "$2"
  fi
  collect
}

# Packs all logs. It runs behind every stage, so that they are there if this script is killed.
collect() {
  local pack=$work/pack log size
  mkdir -p "$pack/logs"
  for log in "$work"/logs/*.log; do
    [ -f "$log" ] || continue
    size=$(stat -c %s "$log")
    if [ "$size" -le $((2 * log_end)) ]; then
      cat "$log"
    else
      head -c "$log_end" "$log"
      printf '\n[%d bytes are left out here]\n' $((size - 2 * log_end))
      tail -c "$log_end" "$log"
    fi | without_paths >"$pack/logs/${log##*/}"
  done
  tar -C "$pack" -czf "$results/logs.tar.gz.part" . && mv "$results/logs.tar.gz.part" "$results/logs.tar.gz"
}

# The programs travel packed.
unpack() {
  local packed program
  for packed in "$kit"/bin/*.gz; do
    program=${packed%.gz}
    gzip -dc "$packed" >"$program.part" && chmod +x "$program.part" && mv "$program.part" "$program" || {
      echo "error: $packed cannot be unpacked; $kit must be writable and complete"
      exit 2
    }
  done
}

# begin COMMAND SECONDS
begin() {
  [ -f "$kit/MANIFEST" ] || { echo "error: $kit has no MANIFEST: the kit is incomplete; make it again"; exit 2; }
  unpack
  deadline=$2
  results=$(realpath -m "${OUT:-results}")
  work=$(mktemp -d)
  export PADA_KIT_WORK=$work
  trap 'rm -rf "$work"' EXIT
  trap 'kill $(jobs -p) 2>/dev/null; echo "# run.sh was stopped" | tee -a "$results/summary.txt"; collect; exit 1' INT TERM
  mkdir -p "$results" "$work/logs" || exit 2
  rm -f "$results"/{summary.txt,summary.md,logs.tar.gz}
  if [ -d "$PADA_CACHE" ] && [ ! -w "$PADA_CACHE" ]; then
    # Kernels for a GPU that the kit did not foresee are compiled once and kept here.
    cp -r "$PADA_CACHE" "$work/kernels" && export PADA_CACHE=$work/kernels
  fi
  PADA_KIT_LIBRARIES=$(check_file libraries)
  export PADA_KIT_LIBRARIES
  # Behind all other folders: only a library that is nowhere else is taken from a Python package.
  [ -z "$PADA_KIT_LIBRARIES" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$PADA_KIT_LIBRARIES"
  {
    echo "# run.sh $1, $(date -u +%F)"
    sed -n 's/^# commit/# commit/p' "$kit/MANIFEST"
    echo "# stage, exit code ($skipped: skipped), seconds, most telling line of the log"
  } | tee "$results/summary.txt"
}

finish() {
  local counts
  counts=$(awk -v skipped="$skipped" '/^#/ {next} $2 == 0 {ok++} $2 == skipped {out++} $2 != 0 && $2 != skipped {bad++}
    END {printf "%d passed, %d failed, %d skipped", ok, bad, out}' "$results/summary.txt")
  echo "# $counts in $SECONDS s" | tee -a "$results/summary.txt"
  collect
  "$kit/bin/pada-gpu-kit" --show "$results" >"$results/summary.md" 2>"$work/show.err" || cat "$work/show.err"
  echo "results: $results"
  [[ $counts == *" 0 failed"* ]]
}

check() {
  local name tool
  begin check "${PADA_KIT_TOTAL:-330}"
  stage environment 20
  stage doctor 30
  while read -r name _; do stage "tests-$name" 45; done <"$kit/tests.txt"
  for tool in memcheck racecheck initcheck synccheck; do attempt sanitizer-$tool sanitizer-$tool 60 & done
  wait
  collect
  stage mini-cpu 30
  stage mini-gpu 30
  stage mini-compare 10
  stage candle 45
  for name in f32 tf32 bf16; do stage engine-$name 30; done
  stage ops 20
  stage torch 100
  stage ncu 40
  stage torch-compile 120
  finish
}

full() {
  local seconds=$1 seed file
  begin full "$seconds"
  mkdir -p "$runs"
  stage data 30
  for seed in 0 1 2; do stage short-s$seed $((seconds / 4 + 1)); done
  # The last checkpoint is written and packed within the seconds.
  deadline=$((seconds - 20))
  stage pada "$seconds"
  deadline=$seconds
  for file in "$runs"/nb201-*/{record.json,ranking.csv,config.toml}; do
    [ -f "$file" ] || continue
    mkdir -p "$work/pack/runs/$(basename "$(dirname "$file")")"
    cp "$file" "$work/pack/runs/$(basename "$(dirname "$file")")/"
  done
  file=$(newest "$runs/nb201-pada") && rm -f "$results"/epoch-*.safetensors && cp "$runs/nb201-pada/$file" "$results/"
  for file in record.json config.toml; do
    [ ! -f "$runs/nb201-pada/$file" ] || cp "$runs/nb201-pada/$file" "$results/"
  done
  finish
}

number() { case ${1:-} in '' | *[!0-9]*) return 1 ;; *) return 0 ;; esac; }

case ${1:-help} in
  check) check ;;
  full)
    number "${2:-}" || { echo "error: full needs a number of seconds: run.sh full 600"; exit 2; }
    full "$2"
    ;;
  data)
    shift
    [ $# -gt 0 ] || exec "$python" "$kit/restore.py" --missing --into "$PADA_DATA"
    exec "$python" "$kit/restore.py" --into "$PADA_DATA" "$@"
    ;;
  stage)
    [ $# = 2 ] || { usage; exit 2; }
    work=${PADA_KIT_WORK:-$(mktemp -d)}
    [ -x "$kit/bin/pada" ] || unpack
    run_stage "$2"
    ;;
  help | -h | --help) usage ;;
  *) usage; exit 2 ;;
esac
