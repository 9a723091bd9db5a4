#!/bin/bash
# Pretends to be compute-sanitizer: runs the program behind its options.
while [ $# -gt 0 ]; do
  case $1 in
    --tool) tool=$2; shift 2 ;;
    --*) shift 2 ;;
    *) break ;;
  esac
done
"$@"
if [ "$tool" = racecheck ] && [ -n "${FAKE_ERRORS:-}" ]; then
  echo "========= ERROR SUMMARY: $FAKE_ERRORS errors"
  exit 9
fi
echo "========= ERROR SUMMARY: 0 errors"
