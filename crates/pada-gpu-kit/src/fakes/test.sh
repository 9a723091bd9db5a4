#!/bin/bash
# Pretends to be a test program.
echo "device $PADA_TEST_CUDA, golden $PADA_GOLDEN, cache $PADA_CACHE, required ${PADA_REQUIRE_SHARED:-0}, filters $*"
[ -z "${FAKE_LOG:-}" ] || head -c 3000000 /dev/urandom | base64
[ -z "${FAKE_HANG:-}" ] || sleep 60
if [ -n "${FAKE_FAILURE:-}" ]; then
  echo "thread 'cuda::steps' panicked at crates/pada-engine/tests/a.rs:1:2:"
  echo "off by 0.5"
  echo "test result: FAILED. 3 passed; 1 failed"
  exit 101
fi
echo "test result: ok. 4 passed; 0 failed"
