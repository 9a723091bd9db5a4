#!/bin/bash
# Pretends to be ncu.
echo '==PROF== Profiling "dense_forward_16" - 0: 0%....100%'
exit 9
