#!/bin/bash
# Pretends to be pada.
set -e
out= device=cpu config= doctor= resumed=0
while [ $# -gt 0 ]; do
  case $1 in
    doctor) doctor=1 ;;
    --out) out=$2 ;;
    --resume) out=$2 resumed=1 ;;
    --device) device=$2 ;;
    --config) config=$2 ;;
  esac
  shift
done
if [ -n "$doctor" ]; then
  echo "ok gpu"
  echo '{"gpu":{"found":'"${FAKE_GPU:-true}"',"detail":"cuda:0 a card"}}'
  exit
fi
[ -n "$out" ] || exit 0
mkdir -p "$out"
echo "name = 'fake'" >"$out/config.toml"
loss=2.0
[ "$device" = cpu ] || loss=${FAKE_LOSS:-2.001}
record() { echo '{"device":"'"$device"'","epochs":[{"loss":'"$loss"'},{"loss":1.9}],"ranking":'"$1"'}' >"$out/record.json"; }
if [[ "$out" == *nb201-pada ]]; then
  record null
  echo weights >"$out/epoch-0002.safetensors"
  echo weights >"$out/epoch-0003.safetensors"
  echo "resumed: $resumed"
  trap 'echo weights >"$out/epoch-0003-step-00020.safetensors"; kill $! || true; exit 130' TERM
  sleep 60 &
  wait $!
fi
record '{"agreements":[{"metrics":{"tau_b":0.4}}]}'
echo "trained on $device $config"
