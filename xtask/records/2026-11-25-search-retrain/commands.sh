#!/bin/bash
# From photographs to ONNX in every space. PHOTOGRAPHS: a folder in ImageNet's layout; PADA_DATA: holds NAS-Bench-Macro's table.
# Usage: PHOTOGRAPHS=DIR bash commands.sh, in the root of the repository, with pada-train on the path. Writes runs/search-retrain.
set -e
out=runs/search-retrain
mkdir -p $out

photographs() { # of so many pixels
  echo --set data.source="$PHOTOGRAPHS" --set data.image_size="$1" --set augment.crop_padding=0 \
    --set 'augment.resized_crop={area=[0.35,1.0],ratio=[0.75,1.3333333333333333]}' --set "$2.images=200" --set "$2.batch=100"
}

run() { # space, config of the supernet, pixels, then further arguments of the supernet, of the search, of the retraining
  pada-train --config "$2" $(photographs "$3" rank) $4 --out $out/"$1"-supernet
  pada-train search $out/"$1"-supernet $5 --json | tee $out/"$1"-search.txt
  arch=$(tail -1 $out/"$1"-search.txt | python3 -c 'import json, sys; print(json.load(sys.stdin)["archs"][0]["arch"])')
  pada-train retrain --config configs/"$1"/retrain-mini.toml $(photographs "$3" test) $6 --arch "$arch" --out $out/"$1"-alone
  pada-train export --weights $out/"$1"-alone --out $out/"$1".onnx
}

run nb201 configs/mini/pada.toml 32 "--set rank.archs=random:20 --set rank.compare=[]" \
  "--method evolution --population 20 --generations 4" "--set train.epochs=20 --set train.batch=32"
run darts configs/darts/mini.toml 32 "--set rank.archs=random:20" "--method evolution --population 20 --generations 3" \
  "--set train.epochs=20 --set train.batch=32 --set augment.cutout=16 --set retrain.auxiliary=0.4"
run macro configs/macro/mini.toml 32 "--set rank.archs=random:20 --set rank.recalibrate={images=256,batch=128}" \
  "--method evolution --population 12 --generations 2 --max-macs 40M" "--set train.epochs=10 --set train.batch=32"
run proxyless configs/proxyless/mini.toml 96 \
  "--set rank.archs=random:4 --set data.train_images=1000 --set train.epochs=3 --set rank.recalibrate={images=128,batch=64}" \
  "--method random --population 8 --generations 1" "--set train.epochs=6 --set train.batch=32 --set alone.ema=0.9"
