#!/bin/bash
# Pretends to be nvidia-smi.
case "$*" in
  *query-gpu=name,* | "") echo "a table" ;;
  *query-gpu=name*) echo "Fake H1" ;;
  *) echo "1.2.3" ;;
esac
